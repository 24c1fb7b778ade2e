"""What can be refused: a stable code, a sentence, and the data that goes with them. No HTTP here.

    Refused
    ├── InvalidFields
    │   └── InvalidInput
    │       └── InvalidPassword
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
    │   │   │   │   ├── MigrationNeeded        database/schema.py
    │   │   │   │   ├── NoUsableSchema         database/errors.py
    │   │   │   │   └── NotTheOwner            database/migrator.py
    │   │   │   ├── DatabaseReadOnly
    │   │   │   ├── DatabaseDiskFull
    │   │   │   ├── WrongDatabaseSetting
    │   │   │   │   ├── PoolerNotDeclared      database/refusals.py
    │   │   │   │   ├── ParameterRefused       database/refusals.py
    │   │   │   │   ├── NoStandby              database/refusals.py
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
    ├── MalformedJson                  api/http/problems/
    ├── BadRequest                     api/http/problems/
    ├── PreflightRefused               api/http/problems/
    ├── RequestTimeout                 api/http/problems/
    ├── InvalidRequest                 api/http/problems/
    ├── BodyTooLarge                   api/http/problems/
    ├── UnsupportedMediaType           api/http/problems/
    │   └── UnsupportedContentCoding   api/http/problems/
    ├── HeadersTooLarge                api/http/problems/
    ├── InternalError                  api/http/problems/
    ├── NoSuchKey                      services/signing_keys/lifecycle.py
    ├── KeyUnreadable                  services/signing_keys/lifecycle.py
    ├── RotationUnderWay               services/signing_keys/lifecycle.py
    └── KeyKnown                       services/signing_keys/lifecycle.py

`api/http/problems/table.py` is the one table that turns each word into a status code.
"""

from auth_service.errors.access import (
    AccessDenied,
    CrossSiteRequest,
    Denial,
    InsufficientRole,
    InvalidAccessToken,
    InvalidInternalToken,
    InvalidRefreshToken,
    MissingAccessToken,
    StepUpRequired,
)
from auth_service.errors.accounts import (
    AccountDisabled,
    AccountExists,
    AdminsOwnAccount,
    InvalidCredentials,
    InvalidLink,
    LastAdmin,
    LastCredential,
    LinkFault,
    NoPendingChange,
    NoSuchSession,
    NoSuchUser,
    PasswordRequired,
    TooManyAttempts,
)
from auth_service.errors.factors import (
    FactorExists,
    InvalidChallenge,
    InvalidSecondFactor,
    NoSuchFactor,
    PasskeysNotConfigured,
    SecondFactorEnrolmentRequired,
    SecondFactorRequired,
    TooManyFactors,
)
from auth_service.errors.fields import FieldFault, FieldFaults, InvalidFields, InvalidInput, InvalidPassword, Reason
from auth_service.errors.refused import Refused
from auth_service.errors.unavailable import (
    DatabaseDiskFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DatabaseUnusable,
    HashingOverloaded,
    MailNotConfigured,
    MissingPrivileges,
    SchemaNotReady,
    ShuttingDown,
    Unavailable,
    WrongDatabaseSetting,
)

__all__ = [
    "AccessDenied",
    "AccountDisabled",
    "AccountExists",
    "AdminsOwnAccount",
    "CrossSiteRequest",
    "DatabaseDiskFull",
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "DatabaseUnusable",
    "Denial",
    "FactorExists",
    "FieldFault",
    "FieldFaults",
    "HashingOverloaded",
    "InsufficientRole",
    "InvalidAccessToken",
    "InvalidChallenge",
    "InvalidCredentials",
    "InvalidFields",
    "InvalidInput",
    "InvalidInternalToken",
    "InvalidLink",
    "InvalidPassword",
    "InvalidRefreshToken",
    "InvalidSecondFactor",
    "LastAdmin",
    "LastCredential",
    "LinkFault",
    "MailNotConfigured",
    "MissingAccessToken",
    "MissingPrivileges",
    "NoPendingChange",
    "NoSuchFactor",
    "NoSuchSession",
    "NoSuchUser",
    "PasskeysNotConfigured",
    "PasswordRequired",
    "Reason",
    "Refused",
    "SchemaNotReady",
    "SecondFactorEnrolmentRequired",
    "SecondFactorRequired",
    "ShuttingDown",
    "StepUpRequired",
    "TooManyAttempts",
    "TooManyFactors",
    "Unavailable",
    "WrongDatabaseSetting",
]
