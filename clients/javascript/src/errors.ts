import type { components } from "./schema.js";

type Schemas = components["schemas"];

/** What the service says of an error (RFC 9457); the members that only some errors have are optional. */
export type Problem = Schemas["ProblemDetails"] & {
  challenge?: string;
  methods?: string[];
  expires_in?: number;
  public_key?: { [member: string]: unknown };
  max_age?: number;
  acr_values?: string;
  unknown_credential?: boolean;
};

/** A code of the service, which may have newer ones, or one of this client's own. */
export type ErrorCode = "unavailable" | "signed-out" | Schemas["KnownCode"] | (string & {});

/**
 * Every error of this client.
 *
 * `code` is stable, for programs: the service's own, `unavailable` where it did not answer or cannot just now (the
 * session is still there), or `signed-out` where there is no session. `status` is that of the answer, 0 without one.
 * `problem` is all that the service said: `problem.errors` has the wrong fields of a form. `retryAfter` is in seconds.
 */
export class AuthError extends Error {
  override readonly name = "AuthError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly status = 0,
    readonly problem?: Problem,
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

export function signedOut(): AuthError {
  return new AuthError("signed-out", "Nobody is signed in.");
}

/** Nothing came, or something of this status that is not the service's. */
export function noAnswer(status = 0, retryAfter?: number): AuthError {
  const message = `The service did not answer${status ? `: status ${status}` : ""}.`;
  return new AuthError("unavailable", message, status, undefined, retryAfter);
}
