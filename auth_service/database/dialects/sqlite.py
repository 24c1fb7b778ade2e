"""The embedded SQLite, by aiosqlite. It has no clock, no networks and no arrays: Python lends it those."""

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    NullPool,
    Select,
    SelectBase,
    StaticPool,
    Table,
    bindparam,
    event,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import Pool
from sqlmodel.ext.asyncio.session import AsyncSession

from auth_service.database import wall_clock
from auth_service.database.dialects.dialect import NO_TIME, ROOM, Clock, Dialect
from auth_service.database.dialects.sqlite_connection import begin, connect, prepare
from auth_service.errors import DatabaseDiskFull
from auth_service.models import UtcDateTime, hour_of
from auth_service.settings import DatabaseSettings

_DIALECT = sqlite.dialect()


class SQLite(Dialect):
    """One writer at a time, so that there is nothing to lock."""

    name = "sqlite"
    writes_in_ctes = is_server = returns_joined = has_partitions = has_page_order = False

    def make_engine(self, settings: DatabaseSettings, *, read_only: bool = False) -> AsyncEngine:
        pool: type[Pool] = NullPool if settings.sqlite_file else StaticPool
        engine = create_async_engine(
            "sqlite+aiosqlite:" + settings.location,
            poolclass=pool,
            connect_args={"timeout": settings.statement_timeout.total_seconds(), "async_creator_fn": connect},
            echo=settings.echo,
            hide_parameters=True,
        )
        event.listen(engine.sync_engine, "connect", prepare)
        event.listen(engine.sync_engine, "begin", begin)
        return engine

    def engines(self, settings: DatabaseSettings, engine: AsyncEngine) -> tuple[AsyncEngine, AsyncEngine]:
        return engine, engine.execution_options(sqlite_begin="DEFERRED")

    def runs_by_driver(self, settings: DatabaseSettings) -> bool:
        return False

    def notifies(self, settings: DatabaseSettings) -> bool:
        return False

    def make_probe_engine(self, settings: DatabaseSettings, patience: timedelta) -> AsyncEngine:
        return self.make_engine(settings)

    def now(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        return literal(wall_clock.now() + ahead, UtcDateTime())

    def statement_time(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        return self.now(ahead)

    def clock(self) -> Clock:
        return _ProcessClock(self)

    def insert(self, table: Table) -> Any:
        return sqlite.insert(table)

    def rows_of(self, columns: Sequence[Column[Any]], rows: Sequence[Mapping[str, Any]]) -> FromClause:
        """One parameter for all of them: a statement takes 32,766."""
        processors = [given.type.dialect_impl(_DIALECT).bind_processor(_DIALECT) for given in columns]
        pairs = [(given.name, process or _as_it_is) for given, process in zip(columns, processors, strict=True)]
        each = func.json_each(json.dumps([[process(row[name]) for name, process in pairs] for row in rows]))
        value = each.table_valued("value").c.value
        parts = (func.json_extract(value, f"$[{number}]", type_=c.type) for number, c in enumerate(columns))
        return select(*(part.label(c.name) for part, c in zip(parts, columns, strict=True))).subquery("given")

    def row_address(self, table: Table) -> ColumnElement[Any]:
        return literal_column(f"{table.name}.rowid")

    def is_among(self, column: ColumnElement[Any], found: Select[Any]) -> ColumnElement[bool]:
        return column.in_(found)

    def is_one_of(self, column: Column[Any], values: Sequence[Any]) -> ColumnElement[bool]:
        return column.in_(values)

    def is_in_network(self, ip: ColumnElement[Any], network: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.is_in_network(ip, network, type_=Boolean())

    def prepended(
        self, times: ColumnElement[Any], time: ColumnElement[Any], count: ColumnElement[int], kept: ColumnElement[int]
    ) -> ColumnElement[Any]:
        return func.prepend_times(times, time, count, kept, type_=times.type)

    def first_of(self, times: ColumnElement[Any], count: int) -> ColumnElement[Any]:
        return times

    def nth_of(self, times: ColumnElement[Any], number: int) -> ColumnElement[datetime]:
        return func.nth_time(times, literal_column(str(number)), type_=UtcDateTime())

    def position(self, part: ColumnElement[Any], whole: ColumnElement[Any]) -> ColumnElement[int]:
        return func.instr(whole, part, type_=Integer())

    async def lock(self, session: AsyncSession, number: int) -> None:
        pass

    async def try_lock(self, session: AsyncSession, number: int, budget: timedelta) -> bool:
        return True

    async def limit_statements(self, session: AsyncSession, budget: timedelta) -> None:
        pass

    async def is_read_only(self, session: AsyncSession) -> bool:
        return False

    async def try_disk(self, session: AsyncSession, settings: DatabaseSettings) -> None:
        if (file := settings.sqlite_file) and shutil.disk_usage(file.absolute().parent).free < ROOM:
            raise DatabaseDiskFull

    async def estimated_rows(self, session: AsyncSession, statement: SelectBase, cost: float) -> int | None:
        return None


class _ProcessClock(Clock):
    """The time is a parameter: SQLite has no clock that is precise."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._fixed: dict[str, timedelta] = {}
        self._given: set[str] = set()
        self._hours = False

    def at(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        name = f"in_{ahead.total_seconds():.0f}"
        self._fixed[name] = ahead
        return bindparam(name, type_=UtcDateTime())

    def after(self, name: str) -> ColumnElement[datetime]:
        self._given.add(name)
        return bindparam(name, type_=UtcDateTime())

    def this_hour(self) -> ColumnElement[datetime]:
        self._hours = True
        return bindparam("this_hour", type_=UtcDateTime())

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        now = wall_clock.now()
        fixed = {name: now + ahead for name, ahead in self._fixed.items()}
        fixed |= {"this_hour": hour_of(now)} if self._hours else {}
        return {name: now + value if name in self._given else value for name, value in values.items()} | fixed


def _as_it_is(value: Any) -> Any:
    return value
