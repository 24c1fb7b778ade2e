"""What the roles of PostgreSQL need, as `deploy/sql/grants.sql` says, and what of that they have."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

SERVICE, CLEANUP = "auth_app", "auth_cleanup"  # as the file calls the two roles
PACKAGE = Path(__file__).parent.parent
# In a checkout the folder stands beside the package, in a wheel inside it.
FILE = next(path for path in (PACKAGE / "sql", PACKAGE.parent / "deploy" / "sql") if path.is_dir()) / "grants.sql"

_LEFT_OUT = re.compile(r"^\s*(--|\\|BEGIN;|COMMIT;).*\n", re.MULTILINE)
_STATEMENT = re.compile(r"(?:\$\$.*?\$\$|[^;$])+;", re.DOTALL)
_GRANT = re.compile(r"GRANT (.+) ON (?:FUNCTION )?(\w+(?:, \w+)*) TO (\w+);")
_PRIVILEGE = re.compile(r"([A-Z]+)(?: \(([\w, ]+)\))?")

# Of a table that is not there nothing is missing but the migration, which the version tells.
_MISSING = text("""
SELECT concat(privilege, ' (' || "column" || ')', ' on ', object)
FROM unnest(CAST(:objects AS text[]), CAST(:privileges AS text[]), CAST(:columns AS text[]))
    AS needed (object, privilege, "column")
WHERE NOT CASE
    WHEN privilege = 'EXECUTE' THEN has_function_privilege(CAST(to_regproc(object) AS oid), privilege)
    WHEN "column" IS NULL THEN has_table_privilege(to_regclass(object), privilege)
    ELSE has_column_privilege(to_regclass(object), "column", privilege)
END
""")

_GONE = text("""
SELECT DISTINCT object
FROM unnest(CAST(:objects AS text[]), CAST(:privileges AS text[])) AS needed (object, privilege)
WHERE CASE WHEN privilege = 'EXECUTE' THEN to_regproc(object) IS NULL ELSE to_regclass(object) IS NULL END
ORDER BY object
""")

# NULL if there is no schema of ours; of a superuser too it is true.
IS_OWNER = text("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('alembic_version')")


class Privilege(NamedTuple):
    """One privilege on a table, on a column of it, or on a function."""

    privilege: str
    object: str
    column: str | None


def statements(script: str) -> list[str]:
    """Return the statements of a script for psql, without its comments, its meta-commands and its transaction."""
    return [found.strip() for found in _STATEMENT.findall(_LEFT_OUT.sub("", script))]


@cache
def needed_by(role: str) -> Sequence[Privilege]:
    """Return what the file grants to a role, by the name that the file has for it."""
    found = [" ".join(statement.split()) for statement in statements(FILE.read_text("utf-8"))]
    grants = [_parse(statement) for statement in found if statement.startswith("GRANT ")]
    return tuple(privilege for holder, privileges in grants if holder == role for privilege in privileges)


def _parse(grant: str) -> tuple[str, list[Privilege]]:
    """Return who gets what; raises ValueError for a GRANT in another form, which nobody would check."""
    parts = _GRANT.fullmatch(grant)
    if not parts:
        raise ValueError(f"{FILE.name}: {grant}")
    return parts[3], [
        Privilege(privilege, name, column)
        for name in parts[2].split(", ")
        for privilege, columns in _PRIVILEGE.findall(parts[1])
        for column in (columns.split(", ") if columns else [None])
    ]


async def find_missing(session: AsyncSession, needed: Sequence[Privilege]) -> list[str]:
    """Return which of these privileges the session's role lacks, each as `INSERT on users`; on SQLite none."""
    connection = await session.connection()
    if connection.dialect.name != "postgresql":
        return []
    columns = {
        "objects": [one.object for one in needed],
        "privileges": [one.privilege for one in needed],
        "columns": [one.column for one in needed],
    }
    return list((await connection.scalars(_MISSING, columns)).all())


async def find_gone(session: AsyncSession, needed: Sequence[Privilege]) -> list[str]:
    """Return which tables and functions of these privileges are not there; on SQLite none."""
    connection = await session.connection()
    if connection.dialect.name != "postgresql":
        return []
    objects = {"objects": [one.object for one in needed], "privileges": [one.privilege for one in needed]}
    return list((await connection.scalars(_GONE, objects)).all())


async def is_of_tables_owner(session: AsyncSession) -> bool:
    """Whether PostgreSQL lets the session's role do whatever the owner of the tables may, as a superuser."""
    return bool(await (await session.connection()).scalar(IS_OWNER))


async def role_of(session: AsyncSession) -> str:
    """Return the name of the session's role on PostgreSQL."""
    return str(await (await session.connection()).scalar(text("SELECT current_user")))
