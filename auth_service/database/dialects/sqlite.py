"""The embedded SQLite, by aiosqlite. It has no clock, no networks and no arrays: Python lends it those."""

import asyncio
import ipaddress
import json
import re
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import aiosqlite
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
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
            connect_args={"timeout": settings.statement_timeout.total_seconds(), "async_creator_fn": _connect},
            echo=settings.echo,
            hide_parameters=True,
        )
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
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


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    connection.create_function("prepend_times", 4, _prepend_times, deterministic=True)
    connection.create_function("nth_time", 2, _nth_time, deterministic=True)
    connection.create_function("is_in_network", 2, _is_in_network, deterministic=True)
    connection.create_function("regexp_replace", 4, _regexp_replace, deterministic=True)
    cursor = connection.cursor()
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def _connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """Connect; a thread that could not is waited for, as it speaks to its loop once more, which may be closed then."""
    connection = aiosqlite.connect(*arguments, **options)
    thread = connection._thread  # noqa: SLF001  # SQLAlchemy reaches for it too
    thread.daemon = True
    try:
        return await connection
    except sqlite3.Error:
        await asyncio.to_thread(thread.join)
        raise


def _begin(connection: Connection) -> None:
    """A writer takes the lock at once: taking it later, after a read, can fail for good (SQLITE_BUSY_SNAPSHOT)."""
    mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _is_in_network(ip: str | None, network: str | None) -> bool:
    """What <<= does on PostgreSQL."""
    return ip is not None and network is not None and ipaddress.ip_address(ip) in ipaddress.ip_network(network)


def _regexp_replace(text: str | None, pattern: str, replacement: str, _all: str) -> str | None:
    return None if text is None else re.sub(pattern, replacement, text)


def _prepend_times(times: str, now: str, count: int, kept: int) -> str:
    """What array_fill() and || do on PostgreSQL."""
    return json.dumps(([now.replace(" ", "T") + "+00:00"] * count + json.loads(times))[:kept])


def _nth_time(times: str, number: int) -> str | None:
    """What [] does on PostgreSQL, as a time is stored here."""
    found: list[str] = json.loads(times)
    if number > len(found):
        return None
    return datetime.fromisoformat(found[number - 1]).replace(tzinfo=None).isoformat(" ", "microseconds")
