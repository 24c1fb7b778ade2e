"""The one place that turns what a driver raises into what the service says."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from auth_service.database.errors import (
    ForeignTables,
    NoSqliteFile,
    NoUsableSchema,
    SqliteFileBusy,
    SqliteFileUnusable,
    StatementOutOfDate,
    StatementTooSlow,
    TransactionConflict,
    WrongServer,
)
from auth_service.database.errors.refusals import (
    DatabaseStarting,
    NoSuchDatabase,
    PoolerNotDeclared,
    TooManyConnections,
    WrongEncoding,
)
from auth_service.errors import (
    AccountExists,
    DatabaseDiskFull,
    DatabaseUnavailable,
    MissingPrivileges,
    Refused,
    SchemaNotReady,
)

# Index name on PostgreSQL, column name on SQLite: which conflict a violated constraint is.
CONFLICTS: dict[str, type[Refused]] = {
    "uq_users_email_canonical": AccountExists,
    "uq_users_username_canonical": AccountExists,
    "uq_users_username_skeleton_username_twin": TransactionConflict,  # both were the first; who looks again sees one
    "fk_link_tokens_user_id_users": TransactionConflict,  # the user was deleted at the same moment
    "fk_outgoing_mails_user_id_users": TransactionConflict,
    "users.email_canonical": AccountExists,
    "users.username_canonical": AccountExists,
    "users.username_skeleton, users.username_twin": TransactionConflict,
}

# SQLSTATE (PostgreSQL manual, appendix A), the longest prefix wins; what is not here is a fault of our own, a 500.
VERDICTS: dict[str, type[DatabaseUnavailable]] = {
    "08": DatabaseUnavailable,  # connection exception
    "22P05": WrongEncoding,  # the database cannot keep this letter
    "25006": WrongServer,  # read-only transaction
    "25P03": DatabaseUnavailable,  # idle in transaction for too long
    "26000": PoolerNotDeclared,  # what was prepared is on another connection of the server's
    "3F000": SchemaNotReady,
    "40001": TransactionConflict,  # serialization failure
    "40P01": TransactionConflict,  # deadlock
    "42501": MissingPrivileges,
    "42703": SchemaNotReady,  # no such column
    "42704": SchemaNotReady,  # no such type or role
    "42P01": SchemaNotReady,  # no such table
    "42P05": PoolerNotDeclared,  # and this is another one's
    "42P07": ForeignTables,  # there is a table of this name
    "42710": ForeignTables,  # or a type or trigger
    "42723": ForeignTables,  # or a function
    "53": DatabaseUnavailable,  # out of memory
    "53100": DatabaseDiskFull,
    "53300": TooManyConnections,
    "55P03": TransactionConflict,  # lock time-out
    "57": DatabaseStarting,  # shutdown, starting up
    "57014": StatementTooSlow,
    "57P04": NoSuchDatabase,  # it was dropped
    "58": DatabaseUnavailable,  # input/output error
    "XX": DatabaseUnavailable,  # the server's internal error, such as a corrupt page
}

# SQLite's names of its errors (https://sqlite.org/rescode.html), the longest beginning wins.
OF_SQLITE: dict[str, type[DatabaseUnavailable]] = {
    "SQLITE_BUSY": SqliteFileBusy,
    "SQLITE_CANTOPEN": SqliteFileUnusable,
    "SQLITE_CORRUPT": NoSqliteFile,
    "SQLITE_FULL": DatabaseDiskFull,
    "SQLITE_IOERR_SHMSIZE": DatabaseDiskFull,  # a file beside that of the database cannot grow
    "SQLITE_LOCKED": SqliteFileBusy,
    "SQLITE_NOTADB": NoSqliteFile,
    "SQLITE_PERM": SqliteFileUnusable,
    "SQLITE_READONLY": SqliteFileUnusable,
}

# Data exceptions, constraints, check options of views, and what a trigger of the operator's own raises.
ROW_FAULTS = ("22", "23", "44", "P0001")


# Where a session has no schema left, `current_schema()` makes one for temporary tables by this function of PostgreSQL
# (namespace.c), which a role of ours may not. Its message is translated.
NO_SCHEMA = "InitTempTableNamespace"

# Of a statement that the driver ran without SQLAlchemy.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@contextmanager
def domain_errors() -> Iterator[None]:
    """Raise `DatabaseUnavailable` or a named conflict in place of what SQLAlchemy and its drivers raise."""
    try:
        yield
    except Exception as error:
        raise_domain_error(error)
        raise


def raise_domain_error(error: BaseException) -> None:
    """Raise what the service says for what SQLAlchemy or a driver has raised; return if that is to be raised itself."""
    if isinstance(error, IntegrityError | asyncpg.IntegrityConstraintViolationError):
        if conflict := _conflict_of(error):
            raise conflict from None
    elif isinstance(error, (DBAPIError, *DRIVER_ERRORS)):
        if verdict := _verdict_of(error):
            is_lost = type(verdict) in {DatabaseUnavailable, DatabaseStarting}
            raise (DatabaseDiskFull() if is_lost and _met_full_disk(error) else verdict) from error
    elif isinstance(error, PoolTimeoutError | OSError | OverflowError):  # refused connections are OSErrors
        raise (DatabaseDiskFull() if _met_full_disk(error) else DatabaseUnavailable()) from error


def _met_full_disk(error: BaseException | None) -> bool:
    """Whether the server has said so before it hung up: it stops when its journal (WAL) has no room."""
    while error and not isinstance(error, asyncpg.DiskFullError):
        error = error.__cause__ or error.__context__
    return error is not None


def _conflict_of(error: Exception) -> Refused | None:
    said = _said(error)
    name = getattr(said.__cause__ or said, "constraint_name", None) or str(said).partition("failed: ")[2]
    conflict = CONFLICTS.get(name)
    return conflict() if conflict else None


def _said(error: Exception) -> BaseException:
    """What the driver said, or SQLAlchemy's form of it."""
    return (error.orig or error) if isinstance(error, DBAPIError) else error


def _verdict_of(error: Exception) -> DatabaseUnavailable | None:
    said = _said(error)
    if isinstance(said.__cause__ or said, asyncpg.InvalidCachedStatementError):
        return StatementOutOfDate()
    sqlstate = getattr(said, "sqlstate", None)
    if sqlstate:
        if getattr(said.__cause__ or said, "server_source_function", None) == NO_SCHEMA:
            return NoUsableSchema()
        found = VERDICTS.get(sqlstate) or VERDICTS.get(sqlstate[:2])
        return found() if found else None
    if _is_of_sqlite(said, "OperationalError") or _is_of_sqlite(said, "DatabaseError"):
        named = str(getattr(said, "sqlite_errorname", ""))
        known = next((OF_SQLITE[name] for name in sorted(OF_SQLITE, reverse=True) if named.startswith(name)), None)
        return (known or _of_schema(str(said)) or DatabaseUnavailable)()
    is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return DatabaseUnavailable() if is_lost or _is_client_side(said) else None


def _of_schema(message: str) -> type[DatabaseUnavailable] | None:
    """What SQLite says of a schema, for which it has no code."""
    if "no such" in message:
        return SchemaNotReady
    return ForeignTables if "already exists" in message else None


def fault_of_row(error: DBAPIError) -> str | None:
    """Return the name of an error that the values of a row are to blame for, with the constraint or the column that it
    names, and None if it is of any other kind.
    """
    sqlstate = getattr(error.orig, "sqlstate", None)
    cause = error.orig.__cause__ if error.orig and error.orig.__cause__ else error.orig
    if sqlstate:
        named = [getattr(cause, name, None) for name in ("constraint_name", "column_name")]
        parts = [f"SQLSTATE {sqlstate}", *filter(None, named)]
        return ", ".join(parts) if sqlstate.startswith(ROW_FAULTS) else None
    return str(getattr(cause, "sqlite_errorname", None)) if _is_of_sqlite(cause, "IntegrityError") else None


def _is_of_sqlite(said: BaseException | None, name: str) -> bool:
    """Whether it is this very error of `sqlite3`, which need not be imported with PostgreSQL."""
    return (type(said).__module__, type(said).__name__) == ("sqlite3", name)


def _is_client_side(said: BaseException) -> bool:
    """asyncpg's own errors about a dead connection carry no SQLSTATE."""
    return any(kind.__name__ in {"InterfaceError", "InternalClientError"} for kind in type(said).__mro__)
