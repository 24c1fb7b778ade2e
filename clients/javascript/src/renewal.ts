/**
 * The refresh: one at a time, with one key until there is an answer, and with pauses while there is none. The rules are
 * those of docs/protocol.md.
 */

import { type AuthError, noAnswer, signedOut } from "./errors.js";
import { type Kept, millisecondsEarly, millisecondsFresh, tokensIn } from "./kept.js";
import { alone } from "./lock.js";
import type { Store } from "./store.js";
import type { Transport } from "./transport.js";

const LONGEST_PAUSE = 60; // seconds between two attempts
const SHORTEST_PAUSE = 1_000; // milliseconds before a renewal that nobody waits for
const EARLY = 2; // milliseconds that a timer may be early, by the other clock
const GLANCE = 30_000; // milliseconds between two looks at the clock: timers do not know that a laptop slept

export class Renewal {
  #running: Promise<void> | undefined;
  #failure: AuthError | undefined;
  // Seconds before the next attempt after a failure, if the service has not said how many, and when it comes.
  #pause = 0;
  #dueAt = 0;
  #refused: string | undefined;
  #isUnsure = false;
  #timer: unknown;
  #isClosed = false;

  constructor(
    readonly transport: Transport,
    readonly store: Store,
    /** Whether other tabs share the session. */
    readonly isShared: boolean,
    /** Takes what comes next: new tokens, or the end of the session. */
    readonly replace: (next: Omit<Kept, "version">) => void,
  ) {}

  /** Renew the tokens, once for all who ask at the same time, here or in another tab. */
  run(refused?: string, isForced = false): Promise<void> {
    const askedAt = performance.now();
    this.#refused = refused ?? this.#refused; // also for who tries again later
    // A forced one is to learn of what was missed: what was heard while it waited for its turn will do.
    const isDone = () => (!isForced || this.store.since > askedAt) && this.isFresh();
    this.#running ??= this.alone(() => this.#refresh(isDone)).finally(() => {
      this.#running = undefined;
      this.schedule();
      if (this.#isUnsure) this.#lookAgain().catch(() => {});
    });
    return this.#running;
  }

  /**
   * The cookie of an answer that came late, as to a tab that was frozen, may have replaced that of a newer sign-in: the
   * service knows. After a sign-out it is deleted again.
   */
  #lookAgain(): Promise<unknown> {
    this.#isUnsure = false;
    const isOut = () => this.store.load().session_id === null;
    const signOut = async () => isOut() && this.transport.endSession();
    return isOut() ? this.alone(signOut) : this.run(undefined, true);
  }

  /** What changes a cookie is done by one tab at a time. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.transport.cookies ? this.alone(work) : work();
  }

  alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.isShared ? alone(this.store.name, this.transport.timeout + 1_000, work) : work();
  }

  isFresh(): boolean {
    const kept = this.store.load();
    return kept.access_token !== this.#refused && millisecondsFresh(kept, this.store.since) > 0;
  }

  /** Wake up when the token is to be renewed, or a failed refresh to be tried again. */
  schedule(): void {
    clearTimeout(this.#timer as number);
    const kept = this.store.load();
    if (this.#isClosed || kept.session_id === null) return;
    // The first tab of many renews, and the others hear of it.
    const fresh = millisecondsFresh(kept, this.store.since) + (Math.random() * millisecondsEarly(kept)) / 3;
    const pause = this.#failure ? this.#dueAt - performance.now() + EARLY : fresh;
    const isDue = pause < GLANCE + SHORTEST_PAUSE; // a glance leaves no less
    const wake = () => (isDue ? this.run().catch(() => {}) : this.schedule());
    this.#timer = setTimeout(wake, isDue ? Math.max(pause, SHORTEST_PAUSE) : GLANCE);
    (this.#timer as { unref?: () => void }).unref?.(); // Node: a timer keeps no program running
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer as number);
  }

  async #refresh(isDone: () => boolean): Promise<void> {
    if (isDone()) {
      this.#failure = undefined; // another tab was faster
      return;
    }
    if (this.#failure?.retryAfter && performance.now() < this.#dueAt) throw this.#failure;
    const headers = { "Idempotency-Key": this.store.key() };
    const sent = this.store.load();
    const { cookies } = this.transport;
    if (!cookies && !sent.refresh_token) throw signedOut();
    try {
      const { refresh_token } = sent; // none with a cookie
      const answer = await this.transport.call("POST", "/auth/refresh", { refresh_token }, headers);
      const tokens = tokensIn(answer, cookies);
      if (!tokens) throw noAnswer(200);
      this.#failure = undefined;
      const { version, session_id } = this.store.load();
      // Another tab may have renewed the session, ended it, or opened another one.
      const isNews = version === sent.version || (cookies && session_id === tokens.session_id);
      if (isNews) this.replace(tokens);
      else this.#isUnsure = cookies;
    } catch (error) {
      this.#failed(error as AuthError, sent);
    }
  }

  /** Only this one answer ends the session, and only if it is about the token that is still kept. */
  #failed(error: AuthError, sent: Kept): void {
    const { version, session_id } = this.store.load();
    const isEnd = error.code === "invalid-refresh-token" && error.status === 401;
    // It deletes the cookie, and of another error nobody knows whether a cookie came with it.
    this.#isUnsure = this.transport.cookies && session_id !== sent.session_id && !(isEnd && session_id === null);
    if (isEnd) {
      if (sent.session_id !== null && version === sent.version) this.replace({ session_id: null });
      return;
    }
    const now = performance.now();
    // What a page asks for meanwhile neither puts off the next attempt nor makes the pauses longer.
    if (!this.#failure || error.retryAfter || now >= this.#dueAt) {
      this.#pause = this.#failure ? this.#pause * 2 : 1;
      this.#dueAt = now + Math.min(error.retryAfter ?? this.#pause, LONGEST_PAUSE) * 1_000;
    }
    this.#failure = error;
    throw error;
  }
}
