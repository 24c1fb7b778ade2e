"""What each migration does to a database in use, up and down, as a real PostgreSQL shows it.

`python -m tests.support.migration_effects` records it in migrations/effects.json, of which plans are made.
"""

import asyncio
import json
import re
from typing import Any

from sqlalchemy import Connection, text

from auth_service.database import migrator
from auth_service.database.migration_plan import EFFECTS
from auth_service.database.schema import REVISIONS
from auth_service.repositories.database import Database
from auth_service.settings import DatabaseSettings
from tests.support.postgres import Cluster

Effects = dict[str, dict[str, dict[str, Any]]]

# Those for which a statement of the service waits, the weakest first.
MODES = ("SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE")
BOOKKEEPING = ("alembic_version", "schema_compatibility", "job_leases")  # a lease is over after seconds
_TABLES = text("""
SELECT oid, relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
""")
_COLUMNS = text("""
SELECT attrelid, attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid = ANY(:tables)
""")
_LOCKS = text("SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = ANY(:tables)")


async def observe(url: str) -> Effects:
    """Migrate an empty database up to head and down again, each step in a transaction; return what each has done."""
    database = Database(DatabaseSettings(DATABASE_URL=url, _env_file=None))
    effects: Effects = {revision: {} for revision in REVISIONS}
    places = (None, *REVISIONS)
    try:
        for below, revision in zip(places, REVISIONS, strict=False):
            effects[revision]["up"] = await database.run_sync(_move(below, revision), migrator.BUDGET)
        for below, revision in reversed(list(zip(places, REVISIONS, strict=False))):
            effects[revision]["down"] = await database.run_sync(_move(revision, below or "base"), migrator.BUDGET)
    finally:
        await database.dispose()
    return effects


def _move(here: str | None, there: str) -> Any:
    def move(line: Connection) -> dict[str, Any]:
        tables = _tables(line)
        columns = _columns(line, tables)
        migrator.move(line, here, there)
        found: dict[str, Any] = {"locks": _locks(line, tables)}
        if here is not None and (there == "base" or there < here):
            left = _tables(line)
            gone = [name for oid, name in tables.items() if oid not in left]
            dropped = [f"{tables[oid]}.{column}" for oid, column in columns - _columns(line, left) if oid in left]
            found["lost"] = sorted({*gone, *dropped} - {*BOOKKEEPING})
        return found

    return move


def _tables(line: Connection) -> dict[int, str]:
    return {row.oid: row.relname for row in line.execute(_TABLES)}


def _columns(line: Connection, tables: dict[int, str]) -> set[tuple[int, str]]:
    return {(oid, column) for oid, column in line.execute(_COLUMNS, {"tables": list(tables)})}


def _locks(line: Connection, tables: dict[int, str]) -> dict[str, str]:
    strongest: dict[str, str] = {}
    for oid, name in line.execute(_LOCKS, {"tables": list(tables)}):
        mode = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Lock")).upper()
        if mode in MODES and MODES.index(mode) >= MODES.index(strongest.get(tables[oid], mode)):
            strongest[tables[oid]] = mode
    return dict(sorted(strongest.items()))


if __name__ == "__main__":
    with Cluster.create() as cluster:
        cluster.create_database("effects")
        found = asyncio.run(observe(cluster.url("effects")))
    EFFECTS.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
