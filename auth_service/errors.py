"""What can be refused: a stable code, a sentence, and the data that goes with them. No HTTP here.

    Refused
    ├── InvalidInput
    │   └── InvalidPassword
    ├── AccountExists
    ├── AccountDisabled
    ├── AdminsOwnAccount
    ├── LastAdmin
    ├── LastCredential
    ├── InvalidCredentials
    │   ├── InvalidSecondFactor
    │   ├── UnknownPasskey             services/factors/passkey_proofs.py
    │   └── InvalidPasskey             services/factors/passkey_proofs.py
    ├── InvalidChallenge
    ├── FactorExists
    ├── TooManyFactors
    ├── SecondFactorRequired
    ├── SecondFactorEnrolmentRequired
    ├── PasswordRequired
    ├── InvalidLink
    ├── AccessDenied
    │   ├── InvalidRefreshToken
    │   ├── MissingAccessToken
    │   ├── InvalidAccessToken
    │   ├── InsufficientRole
    │   ├── StepUpRequired
    │   ├── InvalidInternalToken
    │   └── CrossSiteRequest
    ├── TooManyAttempts
    ├── NoSuchSession
    ├── NoSuchUser
    ├── NoSuchFactor
    ├── PasskeysNotConfigured
    ├── NoPendingChange
    ├── Unavailable
    │   ├── DatabaseUnavailable
    │   │   ├── DatabaseUnusable
    │   │   │   ├── SchemaNotReady
    │   │   │   │   ├── MissingPrivileges
    │   │   │   │   └── NotTheOwner            database/migrator.py
    │   │   │   ├── DatabaseReadOnly
    │   │   │   ├── DatabaseDiskFull
    │   │   │   ├── WrongDatabaseSetting
    │   │   │   │   ├── PoolerNotDeclared      database/refusals.py
    │   │   │   │   ├── ParameterRefused       database/refusals.py
    │   │   │   │   └── ConnectionSettingWrong database/refusals.py
    │   │   │   ├── DatabaseLoginRefused       database/refusals.py
    │   │   │   ├── RoleNotAllowed             database/refusals.py
    │   │   │   ├── MayNotConnect              database/refusals.py
    │   │   │   ├── NoSuchDatabase             database/refusals.py
    │   │   │   ├── ClosedDatabase             database/refusals.py
    │   │   │   ├── SignInNotSupported         database/refusals.py
    │   │   │   ├── UntrustedCertificate       database/refusals.py
    │   │   │   │   ├── UnknownAuthority       database/refusals.py
    │   │   │   │   ├── OtherName              database/refusals.py
    │   │   │   │   └── OutOfDate              database/refusals.py
    │   │   │   ├── TlsFailed                  database/refusals.py
    │   │   │   ├── NotPostgresql              database/refusals.py
    │   │   │   ├── WrongEncoding              database/refusals.py
    │   │   │   ├── WrongServer                database/errors.py
    │   │   │   ├── ForeignTables              database/errors.py
    │   │   │   ├── SqliteFileUnusable         database/errors.py
    │   │   │   └── NoSqliteFile               database/errors.py
    │   │   ├── TooManyConnections     database/refusals.py
    │   │   ├── DatabaseStarting       database/refusals.py
    │   │   ├── HungUp                 database/refusals.py
    │   │   ├── NoServerWillDo         database/refusals.py
    │   │   ├── TransactionConflict    database/errors.py
    │   │   │   ├── StatementOutOfDate database/errors.py
    │   │   │   └── ReplicaFailed      database/replica.py
    │   │   ├── SqliteFileBusy         database/errors.py
    │   │   ├── StatementTooSlow       database/errors.py
    │   │   ├── NotAReplica            database/replica.py
    │   │   └── ReplicaBehind          database/replica.py
    │   ├── ShuttingDown
    │   ├── HashingOverloaded
    │   ├── MailNotConfigured
    │   ├── NewsTooOld                 services/sessions/revocations.py
    │   ├── SigningKeyUnavailable      services/signing_keys/key_ring.py
    │   └── TotpUnreadable             services/sessions/totp_codes.py
    ├── MalformedJson                  api/http/problems.py
    ├── BadRequest                     api/http/problems.py
    ├── RequestTimeout                 api/http/problems.py
    ├── InvalidRequest                 api/http/problems.py
    ├── BodyTooLarge                   api/http/problems.py
    ├── UnsupportedMediaType           api/http/problems.py
    ├── HeadersTooLarge                api/http/problems.py
    ├── InternalError                  api/http/problems.py
    ├── InvalidFields                  api/http/problems.py
    ├── NoSuchKey                      services/signing_keys/lifecycle.py
    ├── KeyUnreadable                  services/signing_keys/lifecycle.py
    ├── RotationUnderWay               services/signing_keys/lifecycle.py
    └── KeyKnown                       services/signing_keys/lifecycle.py

`api/http/problem_table.py` is the one table that turns each word into a status code.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar
from uuid import UUID


class Refused(Exception):  # noqa: N818  # a refusal is an answer, not an error of ours
    """A use case said no.

    `code` is a stable word for programs, `detail` a sentence for people. Neither ever repeats what the caller sent.
    `members` are what a program needs beside the code to go on.
    """

    code: ClassVar[str] = "refused"
    detail: str = "The request was refused."
    members: Mapping[str, object] = {}

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or type(self).detail
        super().__init__(self.detail)


class InvalidInput(Refused):
    """A field does not hold what was expected: `field` names it, `reason` says what was expected."""

    code = "validation-error"
    detail = "The request has invalid fields."

    def __init__(self, field: str, reason: str) -> None:
        super().__init__()
        self.field = field
        self.reason = reason


class InvalidPassword(InvalidInput):
    """The password policy refuses a password; `word` is the stable reason, such as `password-too-short`."""

    def __init__(self, field: str, word: str, detail: str) -> None:
        super().__init__(field, word)
        self.code = word  # type: ignore[misc]  # each rule of the policy has a word of its own
        self.detail = detail


class AccountExists(Refused):
    code = "account-exists"
    detail = "Email or username already registered"


class AccountDisabled(Refused):
    code = "account-disabled"
    detail = "The account is disabled; enable it first."


class AdminsOwnAccount(Refused):
    code = "own-account"
    detail = "This is your own account: change it as its owner, or ask another administrator or the operator."


class LastAdmin(Refused):
    code = "last-admin"
    detail = "This is the last administrator who can sign in; make another user an administrator first."


class LastCredential(Refused):
    code = "last-credential"
    detail = "The role of the account must have a second factor. A new app replaces this one once it is confirmed."


class InvalidCredentials(Refused):
    code = "invalid-credentials"
    detail = "The account or the password is wrong."


class InvalidSecondFactor(InvalidCredentials):
    """A wrong code, one that was used before, or a challenge that is good no more: all alike."""

    code = "invalid-second-factor"
    detail = "The code or the passkey is wrong, or was used before. If not, the sign-in took too long: begin it again."


class SecondFactorRequired(Refused):
    """The password is right, and not enough. `methods` are those that the account has; `expires_in` is in seconds.

    For a passkey, `public_key` is what the browser is asked.
    """

    code = "second-factor-required"
    detail = "The password is right. Send a second factor with this challenge to /auth/login/second-factor."

    def __init__(
        self,
        challenge: str,
        methods: Sequence[str],
        expires_in: int,
        public_key: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        asked = {"public_key": public_key} if public_key else {}
        self.members = {"challenge": challenge, "methods": list(methods), "expires_in": expires_in, **asked}


class SecondFactorEnrolmentRequired(Refused):
    """The password is right, or a code too, but the account must have a second factor that it has not; members as
    above.
    """

    code = "second-factor-enrolment-required"
    detail = "The password is right, but this account must add a second factor, at /auth/login/enrol."

    def __init__(self, challenge: str, methods: Sequence[str], expires_in: int) -> None:
        super().__init__()
        self.members = {"challenge": challenge, "methods": list(methods), "expires_in": expires_in}


class InvalidChallenge(Refused):
    """What a browser returned was not made for this challenge, or the challenge is good no more."""

    code = "invalid-challenge"
    detail = "The challenge is not valid: it was used, is older than five minutes, or is not for this. Ask for another."

    def __init__(self, because: str | None = None) -> None:
        super().__init__(f"The passkey was refused: {because}." if because else None)


class FactorExists(Refused):
    code = "factor-exists"
    detail = "This passkey is registered already."


class TooManyFactors(Refused):
    code = "too-many-factors"
    detail = "The account has twenty second factors, and may have no more. Remove one that is not used."


class PasswordRequired(Refused):
    code = "password-required"
    detail = "Send the password of the account as well, or an access token of it. The link was not used up."


class InvalidLink(Refused):
    code = "invalid-link"
    detail = "The link is not valid: it was used, has expired, or was replaced by a newer one."


class Denial(StrEnum):
    """Why something was denied. The log tells it, and no answer: to whoever asked, all defects are alike."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    FOREIGN = "foreign"  # signed by a key of ours, for somebody else or with claims that no token of ours has
    EXPIRED = "expired"
    ENDED = "ended"
    WRONG = "wrong"
    ROLE = "role"
    STEP_UP = "step-up"
    FACTOR = "factor"
    ORIGIN = "origin"


class AccessDenied(Refused):
    """Somebody asked for what they have no right to.

    `reason` is a `Denial`, or what a refresh token turned out to be; `user_id` says who asked, if that is known.
    """

    reason: str

    def __init__(self, reason: str | None = None, user_id: UUID | None = None) -> None:
        super().__init__()
        self.reason = reason or type(self).reason
        self.user_id = user_id


class InvalidRefreshToken(AccessDenied):
    code = "invalid-refresh-token"
    detail = "The refresh token is not valid; sign in again."
    reason = Denial.ENDED


class MissingAccessToken(AccessDenied):
    code = "missing-access-token"
    detail = "Send an access token in the Authorization header, as 'Bearer TOKEN'."
    reason = Denial.MISSING


class InvalidAccessToken(AccessDenied):
    code = "invalid-access-token"
    detail = "The access token is not valid, has expired, or its session has ended."
    reason = Denial.ENDED


class InsufficientRole(AccessDenied):
    code = "insufficient-role"
    detail = "The access token is valid, but its bearer does not have the required role."
    reason = Denial.ROLE


class StepUpRequired(AccessDenied):
    """The token is good, but it was signed in too long ago (`max_age`, in seconds), or not surely enough for one of the
    `acr_values`, the weakest first (RFC 9470). What does not matter is left out.
    """

    code = "step-up-required"
    detail = "Prove at /auth/step-up that it is you, or sign in again, and send the new access token."
    reason = Denial.STEP_UP

    def __init__(self, max_age: int | None = None, acr_values: Sequence[str] = (), user_id: UUID | None = None) -> None:
        super().__init__(user_id=user_id)
        wanted = {"max_age": max_age, "acr_values": " ".join(acr_values) or None}
        self.members = {name: value for name, value in wanted.items() if value is not None}


class InvalidInternalToken(AccessDenied):
    code = "invalid-internal-token"
    detail = "This route is internal: send AUTH_INTERNAL_TOKEN in the header X-Internal-Token."
    reason = Denial.WRONG


class CrossSiteRequest(AccessDenied):
    code = "cross-site-request"
    detail = "This page may not use the refresh cookie."
    reason = Denial.ORIGIN


class TooManyAttempts(Refused):
    """The client tries too often, successfully or not; `retry_after` is in seconds."""

    code = "too-many-attempts"
    detail = "Too many attempts; wait before trying again."

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = max(1, math.ceil(retry_after))


class NoSuchSession(Refused):
    code = "not-found"
    detail = "You have no such session."


class NoSuchUser(Refused):
    code = "not-found"
    detail = "There is no such user."


class NoSuchFactor(Refused):
    code = "not-found"
    detail = "You have no such second factor, or it waited for its first code too long."


class PasskeysNotConfigured(Refused):
    code = "not-found"
    detail = "This service has no passkeys: the operator has not set AUTH_PASSKEYS__RP_ID."


class NoPendingChange(Refused):
    code = "not-found"
    detail = "No such change is pending for this account."


class Unavailable(Refused):
    """The machinery failed or is full. Never a verdict about the caller; `retry_after` is in seconds."""

    code = "unavailable"
    detail = "The service cannot answer at the moment; try again."
    retry_after: int = 1


class DatabaseUnavailable(Unavailable):
    code = "database-unavailable"
    detail = "The database is not answering; try again."
    is_transient: ClassVar[bool] = True
    """Whether it may be over by itself."""


class DatabaseUnusable(DatabaseUnavailable):
    """It stays like this until somebody does what the detail says."""

    detail = "The database cannot be used as it is."
    is_transient = False
    retry_after = 5


class WrongDatabaseSetting(DatabaseUnusable):
    """What is to be done is to change a setting of the service."""


class SchemaNotReady(DatabaseUnusable):
    code = "schema-not-ready"
    detail = (
        "The database schema does not match this version of the service: run 'auth-service migrate' "
        "(on PostgreSQL 'auth-service migrate --grant-to ROLE' for the role that serves)."
    )


class MissingPrivileges(SchemaNotReady):
    """The grants are older than the schema. `missing` names what lacks, for operators only; empty if not known."""

    detail = "The database role lacks privileges: run 'auth-service grants --apply' as the owner of the tables."

    def __init__(self, missing: Sequence[str] = ()) -> None:
        super().__init__()
        self.missing = list(missing)


class DatabaseReadOnly(DatabaseUnusable):
    code = "database-read-only"
    detail = "The database accepts no writes: DATABASE_URL leads to a standby, or to a server set to read-only."


class DatabaseDiskFull(DatabaseUnusable):
    code = "database-disk-full"
    detail = "The disk of the database is full: make room on it, or enlarge it."


class ShuttingDown(Unavailable):
    code = "shutting-down"
    detail = "This process is shutting down."


class HashingOverloaded(Unavailable):
    code = "overloaded"
    detail = "Too many passwords are being checked at the moment; try again."

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__()
        self.retry_after = retry_after


class MailNotConfigured(Unavailable):
    code = "mail-not-configured"
    detail = "This service has no mail server configured."
    retry_after = 60
