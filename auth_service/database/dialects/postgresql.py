"""PostgreSQL, by asyncpg."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Interval,
    NullPool,
    Select,
    SelectBase,
    Table,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable
from sqlmodel.ext.asyncio.session import AsyncSession

from auth_service.database.dialects.dialect import NO_TIME, ROOM, Clock, Dialect
from auth_service.database.hosts import Hosts
from auth_service.models import UtcDateTime
from auth_service.settings import DatabaseSettings

APPLICATION_NAME = "auth_service"
IDLE_IN_TRANSACTION = timedelta(seconds=10)


class PostgreSQL(Dialect):
    name = "postgresql"
    writes_in_ctes = is_server = returns_joined = has_partitions = has_page_order = True

    def make_engine(self, settings: DatabaseSettings, *, read_only: bool) -> AsyncEngine:
        arguments = connect_args(settings)
        if read_only and not settings.pgbouncer:
            arguments["server_settings"]["default_transaction_read_only"] = "on"
        return create_async_engine(
            "postgresql+asyncpg://",  # what the URL says is the driver's to know, not SQLAlchemy's
            connect_args=arguments,
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            pool_timeout=settings.pool_timeout.total_seconds(),
            echo=settings.echo,
            hide_parameters=True,
            **({} if settings.pgbouncer else {"isolation_level": "AUTOCOMMIT"}),
        )

    def engines(self, settings: DatabaseSettings, engine: AsyncEngine) -> tuple[AsyncEngine, AsyncEngine]:
        # A pooler hands the steps of a lone statement to different servers; a transaction keeps them together.
        return (engine if settings.pgbouncer else engine.execution_options(isolation_level="READ COMMITTED")), engine

    def runs_by_driver(self, settings: DatabaseSettings) -> bool:
        return not settings.pgbouncer and not settings.echo

    def notifies(self, settings: DatabaseSettings) -> bool:
        return not settings.pgbouncer  # which, in transaction mode, has no connection that could listen

    def make_probe_engine(self, settings: DatabaseSettings, patience: timedelta) -> AsyncEngine:
        seconds = patience.total_seconds()
        arguments = {**connect_args(settings), "timeout": seconds, "command_timeout": seconds}
        return create_async_engine("postgresql+asyncpg://", poolclass=NullPool, connect_args=arguments)

    def now(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        """`clock_timestamp()` and not `now()`: a statement that waited for a lock must not live in the past."""
        return _plus(func.clock_timestamp(type_=UtcDateTime()), literal(ahead, Interval()) if ahead else None)

    def statement_time(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        """Not `clock_timestamp()`, which may change from row to row: no index serves it, and no plan looks ahead."""
        return _plus(func.statement_timestamp(type_=UtcDateTime()), literal(ahead, Interval()) if ahead else None)

    def clock(self) -> Clock:
        return _ServersClock(self)

    def insert(self, table: Table) -> Any:
        return postgresql.insert(table)

    def rows_of(self, columns: Sequence[Column[Any]], rows: Sequence[Mapping[str, Any]]) -> FromClause:
        """One parameter for each column: a statement takes 32,767 of them."""
        arrays = [literal([row[given.name] for row in rows], ARRAY(given.type)) for given in columns]
        table = func.unnest(*arrays).table_valued(*(column(given.name, given.type) for given in columns))
        return table.render_derived(name="given")

    def row_address(self, table: Table) -> ColumnElement[Any]:
        return literal_column(f"{table.name}.ctid")

    def is_among(self, column: ColumnElement[Any], found: Select[Any]) -> ColumnElement[bool]:
        """An array and not IN: the planner may run the part in IN again, and does not fetch rows by their address."""
        return column == func.any(func.array(found.scalar_subquery()))

    def is_one_of(self, column: Column[Any], values: Sequence[Any]) -> ColumnElement[bool]:
        """One parameter instead of thousands, which take longer to write down than to find."""
        return column == any_(literal(list(values), ARRAY(column.type)))

    def is_in_network(self, ip: ColumnElement[Any], network: ColumnElement[Any]) -> ColumnElement[bool]:
        return cast(ip, postgresql.INET).op("<<=", return_type=Boolean())(cast(network, postgresql.INET))

    def prepended(
        self, times: ColumnElement[Any], time: ColumnElement[Any], count: ColumnElement[int], kept: ColumnElement[int]
    ) -> ColumnElement[Any]:
        added = func.array_fill(time, postgresql.array([cast(count, Integer)]), type_=times.type)
        first: ColumnElement[Any] = added.concat(times)[literal_column("1") : kept]
        return first

    def first_of(self, times: ColumnElement[Any], count: int) -> ColumnElement[Any]:
        first: ColumnElement[Any] = times[literal_column("1") : literal_column(str(count))]
        return first

    def nth_of(self, times: ColumnElement[Any], number: int) -> ColumnElement[datetime]:
        nth: ColumnElement[datetime] = times[literal_column(str(number))]
        return nth

    def position(self, part: ColumnElement[Any], whole: ColumnElement[Any]) -> ColumnElement[int]:
        found: ColumnElement[int] = func.pg_catalog.position(whole, part, type_=Integer())
        return found

    async def lock(self, session: AsyncSession, number: int) -> None:
        await session.scalar(select(func.pg_advisory_xact_lock(number)))

    async def try_lock(self, session: AsyncSession, number: int, budget: timedelta) -> bool:
        asked = select(func.pg_try_advisory_xact_lock(number), _statement_timeout(budget))
        return bool(await session.scalar(asked))

    async def limit_statements(self, session: AsyncSession, budget: timedelta) -> None:
        await session.scalar(select(_statement_timeout(budget)))

    async def is_read_only(self, session: AsyncSession) -> bool:
        return bool(await session.scalar(text("SHOW transaction_read_only")) == "on")

    async def try_disk(self, session: AsyncSession, settings: DatabaseSettings) -> None:
        """By a result that does not fit into memory: it is written where the database is, or temp_tablespaces are."""
        await session.scalar(select(func.set_config("work_mem", "64kB", True)))
        numbers = func.generate_series(1, ROOM // 14).table_valued("number")  # a row of them takes 14 bytes
        await session.scalar(select(func.count()).select_from(numbers))

    async def estimated_rows(self, session: AsyncSession, statement: SelectBase, cost: float) -> int | None:
        plan = (await session.scalar(_Explain(statement)))[0]["Plan"]
        return int(plan["Plan Rows"]) if plan["Total Cost"] > cost else None


class _ServersClock(Clock):
    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def at(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        return self.dialect.now(ahead)

    def after(self, name: str) -> ColumnElement[datetime]:
        return _plus(self.dialect.now(), bindparam(name, type_=Interval()))

    def this_hour(self) -> ColumnElement[datetime]:
        hour: ColumnElement[str] = literal_column("'hour'")
        utc: ColumnElement[str] = literal_column("'UTC'")
        return func.date_trunc(hour, self.dialect.now(), utc, type_=UtcDateTime())

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(values)


class _Explain(Executable, ClauseElement):
    """The plan of a statement, in JSON; nothing is run."""

    inherit_cache = False

    def __init__(self, statement: SelectBase) -> None:
        self.statement = statement


@compiles(_Explain, "postgresql")
def _explain(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


def connect_args(settings: DatabaseSettings) -> dict[str, Any]:
    """What asyncpg is told for every connection."""
    arguments: dict[str, Any] = {
        "async_creator_fn": Hosts(server := settings.server).connect,
        "timeout": settings.connect_timeout.total_seconds(),
        # In UTC every day has 24 hours, also one in an interval: elsewhere, 30 seconds, as the driver sends them (a day
        # less, and 86,370 seconds), are an hour more or less when the clocks change. Poolers keep both for each client.
        "server_settings": {"application_name": APPLICATION_NAME, **server.parameters, "timezone": "UTC"},
    }
    if settings.pgbouncer:
        # A server connection changes hands between transactions: nothing may be prepared or set on it.
        return arguments | {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    arguments["server_settings"] |= {
        "jit": "off",
        "statement_timeout": _milliseconds(settings.statement_timeout),
        # A third, so that a lock can be waited for three times before the client has had to wait too long.
        "lock_timeout": _milliseconds(settings.statement_timeout / 3),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION),
    }
    return arguments


def _plus(now: ColumnElement[datetime], ahead: ColumnElement[timedelta] | None) -> ColumnElement[datetime]:
    return now if ahead is None else type_coerce(now + ahead, UtcDateTime())


def _statement_timeout(budget: timedelta) -> ColumnElement[str]:
    return func.set_config("statement_timeout", _milliseconds(budget), True)


def _milliseconds(duration: timedelta) -> str:
    return str(max(1, round(duration.total_seconds() * 1000)))
