"""The table that maps the code of each refusal to HTTP, and the explanation on its page."""

from typing import NamedTuple


class Problem(NamedTuple):
    """One row of the table: the HTTP form of a code, and what its page tells a developer."""

    status: int
    title: str
    explanation: str


PROBLEMS: dict[str, Problem] = {
    "malformed-json": Problem(
        400,
        "Malformed JSON",
        "The body is not a single JSON document in UTF-8, or has a duplicate name. Nothing was done.",
    ),
    "invalid-request": Problem(
        400, "Invalid request", "A parameter of the form is missing, repeated or not UTF-8 (RFC 6749, section 3.2)."
    ),
    "bad-request": Problem(400, "Bad request", "The request is not valid HTTP. Nothing was done."),
    "invalid-link": Problem(
        400,
        "Invalid link",
        "The link was used, has expired, was replaced by a newer one or is mistyped, or the account has changed since: "
        "'reason' says which. Request a new e-mail. With 'needs-passkey', no link sets a password for the account.",
    ),
    "invalid-challenge": Problem(
        400,
        "Start again",
        "The challenge is unknown, used, older than five minutes or of another account, or the passkey was not made "
        "for it and for this site; 'detail' says which. Ask for new options and try again. Nothing was done.",
    ),
    "invalid-credentials": Problem(
        401,
        "Invalid credentials",
        "Unknown account, wrong password and disabled account all get this answer, so that it does not reveal "
        "who has an account. For a passkey, 'unknown_credential' says that it is not known here.",
    ),
    "invalid-second-factor": Problem(
        401,
        "Invalid second factor",
        "A wrong code, one that was used before, a passkey that was refused, a challenge that is unknown, used, or "
        "older than five minutes, a password where a code is needed, and a code where a passkey is needed all get this "
        "answer. Let the user try again; if the challenge may be too old, sign in again with the password.",
    ),
    "password-required": Problem(
        401,
        "Password required",
        "The link shows that you read this mailbox, and not that you created the account. Send 'password', or an "
        "access token of the account; or, to verify an address, 'new_password'. The link was not used up.",
    ),
    "invalid-refresh-token": Problem(
        401,
        "Session ended",
        "The session has ended: it expired, was signed out, or its token was used by two clients. Sign in again. "
        "A lost answer or a second tab does not cause this within the grace.",
    ),
    "missing-access-token": Problem(
        401,
        "Not signed in",
        "Send 'Authorization: Bearer TOKEN' exactly once. Tokens in the query string or in a cookie are ignored "
        "(RFC 6750).",
    ),
    "invalid-access-token": Problem(
        401,
        "Not signed in any more",
        "The access token is forged, expired or for another audience, or its session has ended. Refresh it; "
        "if that is refused, sign in again.",
    ),
    "step-up-required": Problem(
        401,
        "Confirmation required",
        "The access token is good, but its user was signed in longer ago than 'max_age' seconds, or not as surely as "
        "one of 'acr_values' (RFC 9470). Ask the user for the password or a code, send it to POST /auth/step-up, and "
        "repeat the request with the access token of that answer. Refreshing does not help, and no session has ended.",
    ),
    "invalid-internal-token": Problem(
        401,
        "Internal token missing or wrong",
        "This route is internal. Send AUTH_INTERNAL_TOKEN in the header X-Internal-Token, or as a bearer token.",
    ),
    "second-factor-required": Problem(
        403,
        "Second factor required",
        "The password is right, and nobody is signed in yet. Send 'challenge' with a code of one of the 'methods', or "
        "with what the browser returns for 'public_key', to /auth/login/second-factor within 'expires_in' seconds.",
    ),
    "second-factor-enrolment-required": Problem(
        403,
        "Second factor must be added",
        "The password is right, but the account has to have a second factor of 'methods', and has none. Add one with "
        "'challenge' at /auth/login/enrol within 'expires_in' seconds; nothing else is open to it.",
    ),
    "insufficient-role": Problem(
        403,
        "Not allowed",
        "The access token is valid, but its bearer does not have the role that this path requires. A new token will "
        "not change that.",
    ),
    "cross-site-request": Problem(
        403,
        "Cross-site request",
        "With X-Auth-Cookie, the Origin must be that of this service or one listed in AUTH_CORS__ORIGINS. Nothing was "
        "done, and the cookie was ignored.",
    ),
    "preflight-refused": Problem(
        403,
        "Preflight refused",
        "A browser asked whether a page of another origin may send a request, and it may not: AUTH_CORS__ORIGINS does "
        "not list the page's origin exactly as the browser sends it, or pages may not send this method or one of these "
        "headers (AUTH_CORS__HEADERS adds some). 'detail' says which.",
    ),
    "not-found": Problem(404, "Not found", "There is nothing at this address."),
    "method-not-allowed": Problem(
        405, "Method not allowed", "This path does not support the method; the Allow header lists those it does."
    ),
    "request-timeout": Problem(408, "Request took too long", "The body did not arrive in time. Nothing was done."),
    "account-exists": Problem(
        409,
        "Account exists",
        "An account with this e-mail address or username already exists. Sign in, or choose another.",
    ),
    "factor-exists": Problem(
        409,
        "Factor exists",
        "This passkey is registered already. Browsers do not offer it again if they get 'excludeCredentials' as it "
        "stands in 'public_key'.",
    ),
    "too-many-factors": Problem(
        409, "Too many factors", "An account may have twenty second factors. Remove one that is not used any more."
    ),
    "account-disabled": Problem(
        409,
        "Account disabled",
        "The account is disabled, so its owner could not sign in and stop the change. Enable it first.",
    ),
    "own-account": Problem(
        409,
        "Own account",
        "Administrators do this for other people's accounts. For your own, use the routes below /auth/me, or ask "
        "another administrator or the operator. Nothing was done.",
    ),
    "last-credential": Problem(
        409,
        "Last credential",
        "The role of the account must have this factor, or nobody could sign in without it; 'detail' says which. To "
        "change phones, add the app of the new phone: once it is confirmed, it replaces this one. Of passkeys, add "
        "another one before you remove this one or the password.",
    ),
    "last-admin": Problem(
        409,
        "Last administrator",
        "No administrator would be left to manage accounts. Make another user an administrator first.",
    ),
    "body-too-large": Problem(413, "Body too large", "A body may be at most 16 KiB. None of it was read."),
    "unsupported-media-type": Problem(
        415,
        "Unsupported media type",
        "Send 'Content-Type: application/json' in UTF-8; /auth/revoke and /internal/introspect take forms instead.",
    ),
    "validation-error": Problem(
        422,
        "Invalid fields",
        "'errors' names each field that is wrong, with a 'reason' for programs and, in 'detail', what was expected. "
        "Values are never repeated.",
    ),
    "password-too-short": Problem(
        422,
        "Password too short",
        "Choose a longer password: length makes it strong. There are no rules about its characters.",
    ),
    "password-too-long": Problem(
        422, "Password too long", "Choose a shorter password; it is never truncated silently."
    ),
    "password-blocklisted": Problem(
        422,
        "Password easily guessed",
        "The password is common or breached, or is little more than a name, a repetition or a row of keys. Choose "
        "another one; there are no rules about its characters.",
    ),
    "too-many-attempts": Problem(
        429,
        "Too many attempts",
        "Too many failed sign-ins, wrong codes, registrations, changes or refreshes: for one account, from one IP "
        "address, or in total. Try again after Retry-After seconds. No session has ended, and an unknown account gets "
        "the same answer.",
    ),
    "headers-too-large": Problem(
        431,
        "Headers too large",
        "The request line may have at most 64 KiB, and the headers 16 KiB in 100 lines.",
    ),
    "internal-error": Problem(500, "Internal error", "An error in this service. Search the log for the request id."),
    "unavailable": Problem(
        503,
        "Unavailable",
        "The service cannot answer at the moment. Try again after Retry-After seconds; no session has ended.",
    ),
    "database-unavailable": Problem(
        503,
        "Database unavailable",
        "The database is not answering. Try again after Retry-After seconds; no session has ended.",
    ),
    "schema-not-ready": Problem(
        503,
        "Schema not ready",
        "The database schema is missing, older than this version of the service or too new for it, or its role lacks "
        "privileges. The service's log and /health/ready say which, and what the operator must do.",
    ),
    "database-read-only": Problem(
        503,
        "Database read-only",
        "The database accepts no writes. The operator must point DATABASE_URL at a server that does.",
    ),
    "database-disk-full": Problem(
        503,
        "Database disk full",
        "The database could not write: its disk is full. The operator must make room. What only reads may "
        "still work, and no session has ended.",
    ),
    "shutting-down": Problem(
        503,
        "Shutting down",
        "This process is shutting down, and serves until its gateway has noticed. Only health checks get this answer.",
    ),
    "overloaded": Problem(
        503,
        "Overloaded",
        "More passwords are waiting to be checked than can be answered in time. Try again after Retry-After seconds.",
    ),
    "mail-not-configured": Problem(
        503,
        "Mail not configured",
        "The request needs an e-mail to be sent, and this service has no mail server: the operator must set "
        "AUTH_MAIL__HOST. Nothing was done.",
    ),
}
