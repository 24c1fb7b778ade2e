"""What the machinery cannot do at the moment: never a verdict about the caller."""

from collections.abc import Sequence
from typing import ClassVar

from auth_service.errors.refused import Refused


class Unavailable(Refused):
    """The machinery failed or is full. Never a verdict about the caller; `retry_after` is in seconds."""

    code = "unavailable"
    detail = "The service cannot answer at the moment; try again."
    retry_after: int = 1


class DatabaseUnavailable(Unavailable):
    """`detail` is for operators: the cause, and what is to be done. Whoever is outside gets `public_detail`."""

    code = "database-unavailable"
    detail = "The database is not answering; try again."
    public_detail: ClassVar[str] = "The service does not answer just now; try again."
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
        "(on PostgreSQL 'auth-service migrate --grant-to ROLE' for the role that serves, and with --grant-cleanup-to "
        "ROLE for one that only cleans up)."
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
    detail = "This service cannot send e-mail: the operator has not set it up."
    retry_after = 60
