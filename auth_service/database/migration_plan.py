"""What a migration would do to a database: which steps, what others wait for meanwhile, and what is lost."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from auth_service.database import schema
from auth_service.database.migrator import FOLDER, config, revision_of
from auth_service.errors import SchemaNotReady

# What each migration does, up and down, to a database in use: recorded on a real PostgreSQL by
# `python -m tests.support.migration_effects`, and compared with what happens there by
# tests/database/test_migration_plan.py. To find it out when a plan is made would mean to take those locks.
EFFECTS = FOLDER / "effects.json"

UNKNOWN = "The database schema is newer than this version of the service: migrate back with the version that made it."


@dataclass(frozen=True)
class Loss:
    """A table, or a column as `table.column`, that a step removes, and in how many rows there is something."""

    what: str
    rows: int


@dataclass(frozen=True)
class Step:
    """One migration. `locks` has the mode of each table in use for which others wait; none on SQLite."""

    revision: str
    direction: Literal["up", "down"]
    title: str
    locks: dict[str, str]
    lost: Sequence[Loss]


@dataclass(frozen=True)
class Plan:
    """The steps from the revision that a database has, None without a schema, to another one."""

    revision: str | None
    target: str
    steps: Sequence[Step]
    oldest_served: str
    """The oldest revision whose service works on the schema afterwards."""

    @property
    def loses(self) -> bool:
        """Whether something would be gone for good."""
        return any(loss.rows for step in self.steps for loss in step.lost)


@cache
def _effects() -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(EFFECTS.read_text("utf-8"))
    return found


def make_plan(connection: Connection, target: str = schema.HEAD) -> Plan:
    """Return what it takes to bring the schema to a revision of ours; a newer one that serves us can stay.

    Raises:
        SchemaNotReady: the schema is newer and does not serve us, or is to go back from what we do not know.
    """
    revision = revision_of(connection)
    if revision is not None and revision not in schema.REVISIONS:
        if target != schema.HEAD:
            raise SchemaNotReady(UNKNOWN)
        schema.check(connection)
        return Plan(revision, revision, (), str(schema.oldest_served(connection)))
    steps = [_step(connection, *one) for one in _way(revision, target)]
    return Plan(revision, target, steps, _oldest_served(target))


def make_first_plan(target: str = schema.HEAD) -> Plan:
    """Return what it takes where there is no database yet, without making one: opening a SQLite file would."""
    steps = [Step(one, way, _script(one).doc, {}, ()) for one, way in _way(None, target)]
    return Plan(None, target, steps, _oldest_served(target))


def _way(revision: str | None, target: str) -> list[tuple[str, Literal["up", "down"]]]:
    known = schema.REVISIONS
    here, there = known.index(revision) + 1 if revision else 0, known.index(target) + 1
    if here <= there:
        return [(one, "up") for one in known[here:there]]
    return [(one, "down") for one in reversed(known[there:here])]


def _step(connection: Connection, revision: str, direction: Literal["up", "down"]) -> Step:
    effects = _effects()[revision][direction]
    locks = effects["locks"] if connection.dialect.name == "postgresql" else {}
    lost = [Loss(what, _count(connection, what)) for what in effects.get("lost", ())]
    return Step(revision, direction, _script(revision).doc, locks, lost)


def _count(connection: Connection, what: str) -> int:
    table, _, column = what.partition(".")
    return int(connection.scalar(text(f"SELECT count({column or '*'}) FROM {table}")) or 0)  # noqa: S608  # our names


def _oldest_served(revision: str) -> str:
    """What the migration of a revision declares; before there were declarations, each schema served its own service."""
    declared: str = getattr(_script(revision).module, "oldest_served", revision)
    return declared


def _script(revision: str) -> Any:
    return ScriptDirectory.from_config(config()).get_revision(revision)
