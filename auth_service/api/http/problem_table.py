"""The one table that turns the word of a refusal into HTTP, and explains it on its page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One row of the table: how a word looks over HTTP, and what its page tells a developer."""

    status: int
    title: str
    explanation: str


PROBLEMS: dict[str, Problem] = {
    "malformed-json": Problem(
        400,
        "Malformed JSON",
        "The body is not one JSON document in UTF-8, or a name stands in it twice. Nothing was done.",
    ),
    "invalid-request": Problem(
        400,
        "Invalid request",
        "A parameter is missing from the form, stands in it twice, or is not UTF-8 (RFC 6749, section 3.2).",
    ),
    "bad-request": Problem(
        400,
        "Bad request",
        "The request breaks the rules of HTTP. Nothing was done.",
    ),
    "invalid-link": Problem(
        400,
        "Invalid link",
        "The link of the mail was used already, has expired or was replaced by a newer one, or the password or the "
        "address has changed since. Ask for another mail.",
    ),
    "invalid-credentials": Problem(
        401,
        "Invalid credentials",
        "Unknown account, wrong password and disabled account all get this answer, so that nobody can find "
        "out who has an account.",
    ),
    "invalid-refresh-token": Problem(
        401,
        "Invalid refresh token",
        "The session has ended: it expired, was signed out, or its token was used by two parties. Sign in "
        "again. A client that only lost an answer, or has a second tab, does not get this within the grace.",
    ),
    "missing-access-token": Problem(
        401,
        "Access token missing",
        "Send 'Authorization: Bearer TOKEN' exactly once. Tokens in the query string or in a cookie are not "
        "looked at (RFC 6750).",
    ),
    "invalid-access-token": Problem(
        401,
        "Invalid access token",
        "The access token is forged, expired or for another audience, or its session has ended. Refresh, and "
        "sign in again if that is refused.",
    ),
    "invalid-internal-token": Problem(
        401,
        "Internal token missing or wrong",
        "This route is for the inside. Send AUTH_INTERNAL_TOKEN in the header X-Internal-Token, or as a bearer token.",
    ),
    "insufficient-role": Problem(
        403,
        "Insufficient role",
        "The access token is good, but its bearer does not have the role that this path asks for. A new token will "
        "not change that.",
    ),
    "cross-site-request": Problem(
        403,
        "Cross-site request",
        "With X-Auth-Cookie the Origin must be this service's own or one that the operator lists in "
        "AUTH_CORS__ORIGINS. Nothing was done, and the cookie was not looked at.",
    ),
    "not-found": Problem(
        404,
        "Not found",
        "There is nothing at this path.",
    ),
    "method-not-allowed": Problem(
        405,
        "Method not allowed",
        "This path takes other methods; the Allow header names them.",
    ),
    "request-timeout": Problem(
        408,
        "Request took too long",
        "The body did not arrive in time. Nothing was done.",
    ),
    "account-exists": Problem(
        409,
        "Account exists",
        "The e-mail address or the username belongs to an account already. Sign in, or choose another.",
    ),
    "last-admin": Problem(
        409,
        "Last administrator",
        "Nobody else could look after the accounts then. Make somebody else an administrator first.",
    ),
    "body-too-large": Problem(
        413,
        "Body too large",
        "A body may have at most 16 KiB. Nothing was read of it.",
    ),
    "unsupported-media-type": Problem(
        415,
        "Unsupported media type",
        "Send 'Content-Type: application/json', in UTF-8; /auth/revoke and /internal/introspect take forms instead.",
    ),
    "validation-error": Problem(
        422,
        "Invalid fields",
        "'errors' says which fields cannot be taken and what was expected. Values are never repeated.",
    ),
    "password-too-short": Problem(
        422,
        "Password too short",
        "Choose a longer password; length is what makes it strong. No kind of character is asked for.",
    ),
    "password-too-long": Problem(
        422,
        "Password too long",
        "Choose a shorter password; nothing is ever cut off silently.",
    ),
    "password-blocklisted": Problem(
        422,
        "Password easily guessed",
        "The password is common or has leaked somewhere, or is hardly more than a name, a repetition or a row of keys. "
        "Choose another; no kind of character is asked for.",
    ),
    "too-many-attempts": Problem(
        429,
        "Too many attempts",
        "Too many failed sign-ins, registrations or refreshes: of one account, from one address, or altogether. Try "
        "again after the seconds in Retry-After. Nobody was signed out, and an unknown account gets the same answer.",
    ),
    "headers-too-large": Problem(
        431,
        "Headers too large",
        "The headers may have at most 16 KiB in 100 lines.",
    ),
    "internal-error": Problem(
        500,
        "Internal error",
        "A fault of this service. The request id finds it in the log.",
    ),
    "unavailable": Problem(
        503,
        "Unavailable",
        "The service cannot answer just now. Try again after the seconds in Retry-After; nobody was signed out.",
    ),
    "database-unavailable": Problem(
        503,
        "Database unavailable",
        "The database does not answer. Try again after the seconds in Retry-After; nobody was signed out.",
    ),
    "schema-not-ready": Problem(
        503,
        "Schema not ready",
        "The database schema is not at the version of this service. The operator runs 'auth-service migrate'.",
    ),
    "database-read-only": Problem(
        503,
        "Database read-only",
        "The database answers and takes no writes. The operator points DATABASE_URL at the server that does.",
    ),
    "shutting-down": Problem(
        503,
        "Shutting down",
        "This process is about to end, and serves on until its gateway has seen this. Only health checks say so.",
    ),
    "overloaded": Problem(
        503,
        "Overloaded",
        "More passwords wait to be checked than can be answered in time. Try again after the seconds in Retry-After.",
    ),
    "mail-not-configured": Problem(
        503,
        "Mail not configured",
        "What was asked for needs a mail, and this service has no mail server: the operator sets AUTH_MAIL__HOST. "
        "Nothing was done.",
    ),
}
