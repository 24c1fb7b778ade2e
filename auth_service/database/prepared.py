"""Statements of the hot path: built and compiled once, and on PostgreSQL run by the driver itself.

What SQLAlchemy does for each execution costs several times what the driver does for it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy.engine import Dialect

from auth_service.database.connection import Connection
from auth_service.database.dialects import Clock
from auth_service.database.statement_spans import SUMMARY, SYSTEM, name_of
from auth_service.tracing import span

Values: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Sequence[Mapping[Any, Any]]


class Prepared:
    """One statement, made for each kind of database when it is first run on it.

    What else `build` takes beside the clock is for whoever makes it a part of another statement.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build
        self._made: dict[str, _Made] = {}

    async def execute(self, connection: Connection, **values: Any) -> Rows:
        """Execute it with these values; return its rows."""
        made = self._made.get(connection.dialect.name) or self._make(connection)
        if (driver := connection.driver) is not None:
            return await made.fetch(driver, values)
        result = await connection.execute(made.clause, made.clock.parameters(values))
        return result.mappings().all() if result.returns_rows else ()

    def _make(self, connection: Connection) -> "_Made":
        clock = connection.dialect.clock()
        made = self._made[connection.dialect.name] = _Made(self.build(clock), clock, connection.whole.dialect)
        return made


class _Made:
    def __init__(self, clause: Any, clock: Clock, dialect: Dialect) -> None:
        self.clause = clause
        self.clock = clock
        self._name = name_of(clause)
        self._told = {SYSTEM: dialect.name, SUMMARY: self._name}
        compiled = clause.compile(dialect=dialect)
        self._sql = compiled.string
        binds = ((name, compiled.binds[name]) for name in compiled.positiontup or ())
        self._arguments = [
            (name, bind.effective_value, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bind in binds
        ]

    async def fetch(self, driver: Any, values: Values) -> Rows:
        arguments = [
            process(values.get(name, default)) if process else values.get(name, default)
            for name, default, process in self._arguments
        ]
        try:
            with span(self._name, "CLIENT", self._told):
                rows: Rows = await driver.fetch(self._sql, *arguments)
        except asyncpg.PostgresError:
            raise
        except BaseException:  # nobody knows what the server is in the middle of
            driver.terminate()
            raise
        return rows
