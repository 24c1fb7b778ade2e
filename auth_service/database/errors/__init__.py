"""What goes wrong with a statement, as the service says it; `refusals.py` has what keeps it from a connection."""

from auth_service.errors import DatabaseReadOnly, DatabaseUnavailable, DatabaseUnusable, SchemaNotReady


class TransactionConflict(DatabaseUnavailable):
    """The transaction lost against another one and left nothing behind: it may be run again."""


class WrongServer(DatabaseUnusable):
    """The server at the other end cannot do what it should (a standby after a failover): the connection must go."""

    detail = DatabaseReadOnly.detail
    retry_after = DatabaseUnavailable.retry_after  # the next connection may lead to the primary


class StatementOutOfDate(TransactionConflict):
    """A migration has changed the type of a column while a connection had statements prepared; they are gone now."""


class NoUsableSchema(SchemaNotReady):
    """The role may use no schema of its search_path, so it sees no table: their grants do not mend it."""

    detail = (
        "The database role may not use the schema of the tables: GRANT USAGE ON SCHEMA public TO it, as "
        "deploy/sql/roles.sql does for the roles of the service."
    )


class ForeignTables(DatabaseUnusable):
    detail = (
        "The database has tables of names that the service needs, and not its revision (alembic_version): they are "
        "another application's, so give the service a database of its own, or come from an incomplete backup."
    )


class SqliteFileUnusable(DatabaseUnusable):
    detail = (
        "The SQLite file of DATABASE_URL cannot be used: its folder is missing, or this user may not write to both."
    )


class NoSqliteFile(DatabaseUnusable):
    detail = (
        "The file of DATABASE_URL is no SQLite database, or is damaged: name another one, or bring the last backup "
        "back."
    )


class SqliteFileBusy(DatabaseUnavailable):
    detail = "Another program has locked the SQLite file; try again."


class StatementTooSlow(DatabaseUnavailable):
    """The server is there, and gave the statement up after its time-out: it would be as slow again."""
