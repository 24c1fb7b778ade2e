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
    │   │   │   │   ├── NoUsableSchema         database/errors/
    │   │   │   │   └── NotTheOwner            database/migrator.py
    │   │   │   ├── DatabaseReadOnly
    │   │   │   ├── DatabaseDiskFull
    │   │   │   ├── WrongDatabaseSetting
    │   │   │   │   ├── PoolerNotDeclared      database/errors/refusals.py
    │   │   │   │   ├── ParameterRefused       database/errors/refusals.py
    │   │   │   │   ├── NoStandby              database/errors/refusals.py
    │   │   │   │   └── ConnectionSettingWrong database/errors/refusals.py
    │   │   │   ├── DatabaseLoginRefused       database/errors/refusals.py
    │   │   │   ├── RoleNotAllowed             database/errors/refusals.py
    │   │   │   ├── MayNotConnect              database/errors/refusals.py
    │   │   │   │   └── MayNotConnectOrSet     database/errors/refusals.py
    │   │   │   ├── NoSuchDatabase             database/errors/refusals.py
    │   │   │   ├── ClosedDatabase             database/errors/refusals.py
    │   │   │   ├── SignInNotSupported         database/errors/refusals.py
    │   │   │   ├── UntrustedCertificate       database/errors/refusals.py
    │   │   │   │   ├── UnknownAuthority       database/errors/refusals.py
    │   │   │   │   ├── OtherName              database/errors/refusals.py
    │   │   │   │   └── OutOfDate              database/errors/refusals.py
    │   │   │   ├── TlsFailed                  database/errors/refusals.py
    │   │   │   ├── NotPostgresql              database/errors/refusals.py
    │   │   │   ├── WrongEncoding              database/errors/refusals.py
    │   │   │   ├── WrongServer                database/errors/
    │   │   │   ├── ForeignTables              database/errors/
    │   │   │   ├── SqliteFileUnusable         database/errors/
    │   │   │   └── NoSqliteFile               database/errors/
    │   │   ├── TooManyConnections     database/errors/refusals.py
    │   │   ├── DatabaseStarting       database/errors/refusals.py
    │   │   ├── HungUp                 database/errors/refusals.py
    │   │   ├── NoServerWillDo         database/errors/refusals.py
    │   │   ├── TransactionConflict    database/errors/
    │   │   │   ├── StatementOutOfDate database/errors/
    │   │   │   └── ReplicaFailed      database/replica.py
    │   │   ├── SqliteFileBusy         database/errors/
    │   │   ├── StatementTooSlow       database/errors/
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
