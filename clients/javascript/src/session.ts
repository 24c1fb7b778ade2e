/** The session in this tab. The rules are those of docs/protocol.md. */

import { AuthError, notTheService, signedOut } from "./errors.js";
import {
  type Kept,
  millisecondsEarly,
  millisecondsFresh,
  millisecondsLeft,
  type Status,
  statusOf,
  tokensIn,
} from "./kept.js";
import { alone } from "./lock.js";
import type { Store } from "./store.js";
import type { Answer, Transport } from "./transport.js";

const LONGEST_PAUSE = 60; // seconds between two attempts
const SHORTEST_PAUSE = 1_000; // milliseconds before a renewal that nobody waits for
const GLANCE = 30_000; // milliseconds between two looks at the clock: timers do not know that a laptop slept

/** What a page shows: whether somebody is signed in, which is unknown until the service has answered once. */
export interface AuthState {
  status: Status;
  sessionId: string | null;
}

export class Session {
  readonly listeners = new Set<(state: AuthState) => void>();
  #state: AuthState = { status: "unknown", sessionId: null };
  #stepUp: { token: string; until: number } | undefined;
  #refreshing: Promise<void> | undefined;
  #failures = 0;
  #refusal: { error: AuthError; until: number } | undefined;
  #timer: unknown;
  #isClosed = false;
  #waiting: AbortController | undefined;

  constructor(
    readonly transport: Transport,
    readonly store: Store,
    /** Tells other tabs. */
    readonly tell: (kept: Kept) => unknown,
    /** Whether other tabs share the session. */
    readonly isShared: boolean,
  ) {}

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
      if (kept.access_token && isGood && (attempt > 1 || this.#isFresh(refused))) return kept.access_token;
      await this.refresh(refused).catch((error: unknown) => {
        // A lost answer is asked for once more; who was told to wait waits.
        if (!isGood && (attempt > 1 || !isLost(error))) throw error;
      });
      if (attempt > 2) throw new AuthError("unavailable", "The session could not be renewed.");
    }
  }

  /** Renew the tokens, once for all who ask at the same time, here or in another tab. */
  refresh(refused?: string, isForced = false): Promise<void> {
    const askedAt = performance.now();
    // A forced one is to learn of what was missed: what was heard while it waited for its turn will do.
    const isDone = () => (!isForced || this.store.since > askedAt) && this.#isFresh(refused);
    this.#refreshing ??= this.alone(() => this.#refresh(isDone)).finally(() => {
      this.#refreshing = undefined;
      this.#schedule();
    });
    return this.#refreshing;
  }

  /** What changes the cookie is done by one tab at a time. */
  alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.isShared ? alone(this.store.name, this.transport.timeout + 1_000, work) : work();
  }

  /** Take the tokens of an answer that opens a session; return whether it does. */
  adopt(answer: Answer): boolean {
    const tokens = tokensIn(answer, this.transport.cookies);
    if (tokens) this.#replace(tokens);
    return tokens !== undefined;
  }

  /** Use the access token of a step-up for a while, in this tab alone. */
  stepUp(token: string, seconds: number): void {
    this.#stepUp = { token, until: performance.now() + seconds * 900 };
  }

  /** Sign out. Without an answer, a cookie stays, and so does the session; tokens are forgotten all the same. */
  async signOut(): Promise<void> {
    const { refresh_token } = this.store.load();
    const { cookies } = this.transport;
    const tellService = () => this.transport.call("POST", "/auth/logout", cookies ? {} : { refresh_token });
    if (cookies) await this.alone(tellService);
    this.#replace({ session_id: null });
    if (refresh_token) await tellService().catch(tellService);
  }

  /** Take what another tab tells. */
  hear(news: unknown): void {
    if (this.store.hear(news)) this.changed();
  }

  /** Look again, as after a sleep; with `missedNews` other tabs may have done anything since. */
  look(missedNews = false): void {
    const kept = this.store.load();
    this.changed();
    const isUnsure = this.transport.cookies && missedNews;
    const mayBeSignedIn = kept.session_id !== null || isUnsure;
    if (mayBeSignedIn && (isUnsure || !this.#isFresh())) this.refresh(undefined, isUnsure).catch(() => {});
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
    this.#schedule();
    for (const listener of this.listeners) queueMicrotask(() => this.listeners.has(listener) && listener(state));
  }

  close(): void {
    this.#isClosed = true;
    this.listeners.clear();
    this.#endWaiting();
    clearTimeout(this.#timer as number);
  }

  #endWaiting(): void {
    this.#waiting?.abort();
    this.#waiting = undefined;
  }

  async #refresh(isDone: () => boolean): Promise<void> {
    if (isDone()) {
      this.#failures = 0; // another tab was faster
      return;
    }
    if (this.#refusal && performance.now() < this.#refusal.until) throw this.#refusal.error;
    const headers = { "Idempotency-Key": this.store.key() };
    const sent = this.store.load();
    const { cookies } = this.transport;
    if (!cookies && !sent.refresh_token) throw signedOut();
    try {
      const body = cookies ? {} : { refresh_token: sent.refresh_token };
      const answer = await this.transport.call("POST", "/auth/refresh", body, headers);
      const tokens = tokensIn(answer, cookies);
      if (!tokens) throw notTheService();
      this.#failures = 0;
      this.#refusal = undefined;
      if (this.#isStillAbout(sent, tokens.session_id)) this.#replace(tokens);
    } catch (error) {
      this.#failed(error as AuthError, sent);
    }
  }

  /** Whether an answer is still news: another tab may have renewed the session, ended it, or opened another one. */
  #isStillAbout(sent: Kept, sessionId: unknown): boolean {
    const kept = this.store.load();
    return kept.version === sent.version || (this.transport.cookies && kept.session_id === sessionId);
  }

  /** Only this one answer ends the session, and only if it is about the token that is still kept. */
  #failed(error: AuthError, sent: Kept): void {
    if (error.code === "invalid-refresh-token" && error.status === 401) {
      if (sent.session_id !== null && this.store.load().version === sent.version) this.#replace({ session_id: null });
      return;
    }
    this.#failures++;
    if (error.retryAfter) {
      this.#refusal = { error, until: performance.now() + Math.min(error.retryAfter, LONGEST_PAUSE) * 1_000 };
    }
    throw error;
  }

  #replace(next: Omit<Kept, "version">): void {
    this.tell(this.store.save(next));
    this.changed();
    this.#schedule();
  }

  #isFresh(refused?: string): boolean {
    const kept = this.store.load();
    return kept.access_token !== refused && millisecondsFresh(kept, this.store.since) > 0;
  }

  /** Wake up when the token is to be renewed, or a failed refresh to be tried again. */
  #schedule(): void {
    clearTimeout(this.#timer as number);
    const kept = this.store.load();
    if (this.#isClosed || kept.session_id === null) return;
    // The first tab of many renews, and the others hear of it.
    const fresh = millisecondsFresh(kept, this.store.since) + (Math.random() * millisecondsEarly(kept)) / 3;
    const held = (this.#refusal?.until ?? 0) - performance.now();
    const pause = this.#failures ? Math.max(held, Math.min(2 ** (this.#failures - 1), LONGEST_PAUSE) * 1_000) : fresh;
    const isDue = pause <= GLANCE;
    const wake = () => (isDue ? this.refresh().catch(() => {}) : this.#schedule());
    this.#timer = setTimeout(wake, Math.max(isDue ? pause : GLANCE, SHORTEST_PAUSE));
    (this.#timer as { unref?: () => void }).unref?.(); // Node: a timer keeps no program running
  }
}

function isLost(error: unknown): boolean {
  return error instanceof AuthError && error.code === "unavailable" && !error.retryAfter;
}
