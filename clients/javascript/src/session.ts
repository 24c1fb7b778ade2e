/** The session in this tab: a token for who asks, and its state for who listens. */

import { type AuthError, noAnswer, signedOut } from "./errors.js";
import { isUsable, type Kept, millisecondsLeft, type Status, statusOf, tokensIn } from "./kept.js";
import { Renewal } from "./renewal.js";
import type { Store } from "./store.js";
import type { Answer, Transport } from "./transport.js";

const PAUSE = 200; // milliseconds before what had no answer is asked for again

/** What a page shows: whether somebody is signed in, which is unknown until the service has answered once. */
export interface AuthState {
  readonly status: Status;
  readonly sessionId: string | null;
}

export class Session {
  readonly renewal: Renewal;
  readonly listeners = new Set<(state: AuthState) => void>();
  #state: AuthState = { status: "unknown", sessionId: null };
  #stepUp: { token: string; until: number } | undefined;
  #waiting: AbortController | undefined;

  constructor(
    readonly transport: Transport,
    readonly store: Store,
    /** Tells other tabs. */
    readonly tell: (kept: Kept) => unknown,
    /** Whether other tabs share the session. */
    isShared: boolean,
  ) {
    this.renewal = new Renewal(transport, store, isShared, (next) => this.#replace(next));
  }

  get state(): AuthState {
    this.changed();
    return this.#state;
  }

  /** Return an access token that is good for a while; `refused` is one that was answered 401. */
  async accessToken(refused?: string): Promise<string> {
    if (this.#stepUp?.token === refused) this.#stepUp = undefined;
    for (let attempt = 1; ; attempt++) {
      const kept = this.store.load();
      this.changed();
      if (kept.session_id === null) throw signedOut();
      if (this.#stepUp && performance.now() < this.#stepUp.until) return this.#stepUp.token;
      const isGood = kept.access_token !== refused && millisecondsLeft(kept, this.store.since) > 0;
      // A second look takes any token that is good: it could not be renewed, or never lives for long.
      if (kept.access_token && isGood && (attempt > 1 || this.renewal.isFresh())) return kept.access_token;
      await this.renewal.run(refused).catch(async (error: AuthError) => {
        // Another try, after a pause; who was told to wait waits.
        if (!isGood && (attempt > 1 || error.retryAfter)) throw error;
        if (!isGood) await pause(PAUSE);
      });
      if (attempt > 2) throw noAnswer();
    }
  }

  /** Take the tokens of an answer that opens a session; return whether it does. */
  adopt(answer: Answer): boolean {
    const tokens = tokensIn(answer, this.transport.cookies);
    if (tokens) this.#replace(tokens);
    return tokens !== undefined;
  }

  /** Use the access token of a step-up for a while, in this tab alone. */
  stepUp(token: string, seconds: number): void {
    if (!isUsable(token, seconds)) throw noAnswer(200);
    this.#stepUp = { token, until: performance.now() + seconds * 900 };
  }

  /** Sign out. Without an answer, a cookie stays, and so does the session; tokens are forgotten all the same. */
  async signOut(): Promise<void> {
    const { refresh_token } = this.store.load();
    const { cookies } = this.transport;
    if (!cookies) this.#replace({ session_id: null });
    if (cookies || refresh_token) await this.transport.inTime((signal) => this.#end(refresh_token, signal));
  }

  /** End the session of this token, or of the cookie; throw unless the service says that it has ended. */
  async #end(refresh_token: string | undefined, deadline: AbortSignal): Promise<void> {
    const { cookies } = this.transport;
    const known = () => (cookies ? this.store.load().session_id : undefined);
    let meant: Kept["session_id"];
    let error: unknown;
    for (let attempt = 1; ; attempt++) {
      // Whoever has signed in meanwhile has the cookie by now.
      const isOther = () => known() && known() !== meant;
      const end = () => {
        if (attempt < 2) meant = known();
        else if (isOther() || deadline.aborted) throw error;
        return this.transport.endSession(refresh_token);
      };
      error = await this.renewal.inTurn(async () => end()).catch((error) => error);
      const isLast = attempt > 2 || isOther();
      if (cookies && !error && !isOther()) this.#replace({ session_id: null });
      else if (cookies && isLast) await this.renewal.run(undefined, true).catch(() => {}); // whose is the cookie?
      if (!error || known() === null) return;
      if (isLast) throw error;
      await pause(attempt * PAUSE);
    }
  }

  /** Take what another tab tells. */
  hear(news: unknown): void {
    this.store.hear(news);
    this.changed();
  }

  /** Look again, as after a sleep; with `missedNews` other tabs may have done anything since. */
  look(missedNews = false): void {
    this.changed();
    const isUnsure = this.transport.cookies && missedNews;
    if (isUnsure || (this.store.load().session_id !== null && !this.renewal.isFresh()))
      this.renewal.run(undefined, isUnsure).catch(() => {});
  }

  /** Aborted once somebody is signed in, or the client is closed. */
  untilSignedIn(): AbortSignal {
    this.#waiting ??= new AbortController();
    return this.#waiting.signal;
  }

  /** Tell the listeners, if there is something that they do not know. */
  changed(): void {
    const kept = this.store.load();
    const state: AuthState = { status: statusOf(kept), sessionId: kept.session_id ?? null };
    const isNew = state.status !== this.#state.status || state.sessionId !== this.#state.sessionId;
    if (state.sessionId !== this.#state.sessionId) this.#stepUp = undefined;
    this.#state = state;
    if (!isNew) return;
    if (state.status === "signed-in") this.#endWaiting();
    this.renewal.schedule();
    for (const listener of this.listeners) queueMicrotask(() => this.listeners.has(listener) && listener(state));
  }

  close(): void {
    this.listeners.clear();
    this.#endWaiting();
    this.renewal.close();
  }

  #endWaiting(): void {
    this.#waiting?.abort();
    this.#waiting = undefined;
  }

  #replace(next: Omit<Kept, "version">): void {
    this.tell(this.store.save(next));
    this.changed();
    this.renewal.schedule();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
