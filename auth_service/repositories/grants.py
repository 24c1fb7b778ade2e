"""`deploy/sql/grants.sql` for roles of any name: as a script, or applied."""

import re

from sqlalchemy import Connection, text

from auth_service.database import migrator, schema
from auth_service.errors import InvalidInput, Reason, SchemaNotReady
from auth_service.repositories.privileges import CLEANUP, FILE, IS_OWNER, SERVICE, statements

# What can be put between double quotes, in a literal and in a dollar-quoted block alike.
QUOTABLE = re.compile(r"""[^'"$;\\\x00-\x1f]+""")


def make_script(service: str | None, cleanup: str | None) -> str:
    """Return the file for roles of these names, which are `QUOTABLE`; what is None gets nothing and loses nothing."""
    names = {SERVICE: service, CLEANUP: cleanup}
    script = re.sub(r"^\\.*\n", "", FILE.read_text("utf-8"), flags=re.MULTILINE)  # psql alone knows these
    for role in (role for role, name in names.items() if name is None):
        script = re.sub(rf"^GRANT [^;]+ TO {role};\n", "", script, flags=re.MULTILINE).replace(f", {role}", "")
    return re.sub(rf"\b({SERVICE}|{CLEANUP})\b", lambda found: f'"{names[found[1]] or found[1]}"', script)


def check_roles(connection: Connection, service: str | None, cleanup: str | None) -> None:
    """Return if there are such roles; raises InvalidInput."""
    if connection.dialect.name != "postgresql":
        raise InvalidInput("DATABASE_URL", Reason.NOT_ALLOWED, "is SQLite, which has no roles")
    known = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
    for role in (service, cleanup):
        if role is not None and role not in known:
            sentence = f"{role!r} does not exist; deploy/sql/roles.sql creates roles"
            raise InvalidInput("role", Reason.UNKNOWN_VALUE, sentence)


def apply(connection: Connection, service: str | None, cleanup: str | None) -> None:
    """Grant what the script says, in the connection's transaction, when no other migrator is at work.

    Raises:
        InvalidInput: there are no roles, or not these, or it is not for this one to grant.
        SchemaNotReady: a table is not there yet, or the schema is newer: what its own file grants would be revoked.
    """
    check_roles(connection, service, cleanup)
    migrator.take_turn(connection)
    is_owner = connection.scalar(IS_OWNER)
    if is_owner is None:
        raise SchemaNotReady
    if not is_owner:
        raise InvalidInput("DATABASE_URL", Reason.NOT_ALLOWED, "must name the role that owns the tables, as auth_owner")
    if schema.check(connection) is schema.SchemaState.NEWER:
        raise SchemaNotReady("The database schema is newer: grant with the version of the service that migrated it.")
    for statement in statements(make_script(service, cleanup)):
        connection.exec_driver_sql(statement)
