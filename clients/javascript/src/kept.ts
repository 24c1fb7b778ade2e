/** What is known of the session: the record that the tabs of a browser share. */

import type { Answer } from "./transport.js";

const EARLY = 30_000; // milliseconds before an access token expires that it is renewed
const SKEW = 5_000; // milliseconds that a clock may be set back unnoticed

export interface Kept {
  /** The newer of two records counts. */
  version: number;
  /** null: signed out; undefined: not known yet. */
  session_id?: string | null | undefined;
  access_token?: string | undefined;
  refresh_token?: string | undefined;
  /** Seconds. */
  expires_in?: number;
  /** Milliseconds since 1970 by the service's clock, and how far that was ahead of this machine's. */
  issued_at?: number;
  ahead?: number;
  /** The Idempotency-Key of a refresh that has no answer yet. */
  key?: string | undefined;
}

export type Status = "signed-in" | "signed-out" | "unknown";

export function statusOf(kept: Kept): Status {
  if (kept.access_token) return "signed-in";
  return kept.session_id === null ? "signed-out" : "unknown";
}

/** Return the tokens of an answer that opens or renews a session; undefined if they are none, or not whole. */
export function tokensIn({ said, askedAt, ahead }: Answer, hasCookie: boolean): Omit<Kept, "version"> | undefined {
  const { access_token, refresh_token, session_id, expires_in } = said;
  const tokens = { access_token, refresh_token, session_id, expires_in, issued_at: askedAt + ahead, ahead };
  const isWhole = access_token && (hasCookie || refresh_token);
  return isWhole && isKept({ ...tokens, version: 0 }) ? tokens : undefined;
}

/** Milliseconds that the access token is good for; `since` is when this tab got it, by a clock that nobody sets. */
export function millisecondsLeft(kept: Kept, since: number): number {
  const { expires_in = 0, issued_at = 0, ahead = 0 } = kept;
  const age = Date.now() + ahead - issued_at;
  if (age < -SKEW) return 0; // from the future: a clock was set back
  return expires_in * 1_000 - Math.max(age, performance.now() - since);
}

/** Milliseconds until the access token is to be renewed. */
export function millisecondsFresh(kept: Kept, since: number): number {
  return millisecondsLeft(kept, since) - millisecondsEarly(kept);
}

/** Milliseconds before its end that an access token is to be renewed. */
export function millisecondsEarly({ expires_in = 0 }: Kept): number {
  return Math.min(EARLY, expires_in * 500);
}

/** Whether this can be sent in a header. */
function isText(value: unknown): boolean {
  return typeof value === "string" && /^[!-~]+$/.test(value);
}

/** Whether this access token can be used, for so many seconds. */
export function isUsable(access_token: unknown, expires_in: unknown): boolean {
  return isText(access_token) && Number.isFinite(expires_in) && (expires_in as number) > 0;
}

/** Whether this is a record: the storage of a page, and its channels, may have anything in them. */
export function isKept(value: unknown): value is Kept {
  const { version, session_id, access_token, refresh_token, expires_in, issued_at, ahead, key } = Object(value);
  return (
    Number.isInteger(version) &&
    version < 2 ** 52 && // one more is still more
    (access_token === undefined ||
      (session_id && isUsable(access_token, expires_in) && [issued_at, ahead].every(Number.isFinite))) &&
    [session_id ?? undefined, refresh_token, key].every((text) => text === undefined || isText(text))
  );
}
