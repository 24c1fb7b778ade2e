"""What statements ask of a database, whichever it is."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from sqlalchemy import Column, ColumnElement, FromClause, Select, SelectBase, Table
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from auth_service.settings import DatabaseSettings

NO_TIME = timedelta(0)
ROOM = 8 * 2**20  # bytes that the disk of a database that can work has left


class Dialect(Protocol):
    """One of the databases. Stateless: there is one object of each."""

    name: ClassVar[str]
    writes_in_ctes: ClassVar[bool]
    """Whether one statement can make several changes: `WITH changed AS (UPDATE ... RETURNING ...) INSERT ...`."""
    returns_joined: ClassVar[bool]
    """Whether an UPDATE can return columns of a table that it is joined with."""
    is_server: ClassVar[bool]
    """Whether connections lead to another process: they take time, get lost, are pinged and can be hung up on."""
    has_partitions: ClassVar[bool]
    has_page_order: ClassVar[bool]
    """Whether rows can be read in the order in which they are stored."""

    def make_engine(self, settings: DatabaseSettings, *, read_only: bool) -> AsyncEngine:
        """Return an engine; nothing is connected yet."""

    def engines(self, settings: DatabaseSettings, engine: AsyncEngine) -> tuple[AsyncEngine, AsyncEngine]:
        """Return the engine as it is for a transaction that is begun, and as it is for lone statements."""

    def runs_by_driver(self, settings: DatabaseSettings) -> bool:
        """Whether lone statements may go past SQLAlchemy: on a connection that prepares its own, with no echo."""

    def notifies(self, settings: DatabaseSettings) -> bool:
        """Whether a connection can listen to notifications."""

    def make_probe_engine(self, settings: DatabaseSettings, patience: timedelta) -> AsyncEngine:
        """Return an engine for health checks: a connection of its own each time, no longer wait than `patience`."""

    def now(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        """The time now, plus `ahead`, in a statement that is built for one execution.

        Session decisions use the database's clock, so that containers cannot disagree; SQLite has the process's.
        """

    def statement_time(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        """The time when the statement began, plus `ahead`: for conditions that an index or an estimate answers.

        A statement that waited judges by the time before the wait, so it is for what can only become truer.
        """

    def clock(self) -> "Clock":
        """The same for a statement that is built once and run often."""

    def insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT, which SQLAlchemy has in a class of its own for each dialect."""

    def rows_of(self, columns: Sequence[Column[Any]], rows: Sequence[Mapping[str, Any]]) -> FromClause:
        """Values as a table of these columns, of which there may be tens of thousands of rows."""

    def row_address(self, table: Table) -> ColumnElement[Any]:
        """Where a row lies: the quickest way to one that has just been found."""

    def is_among(self, column: ColumnElement[Any], found: Select[Any]) -> ColumnElement[bool]:
        """The condition that a value is one of those found, which are looked for once."""

    def is_one_of(self, column: Column[Any], values: Sequence[Any]) -> ColumnElement[bool]:
        """The condition that a value is one of perhaps thousands."""

    def is_in_network(self, ip: ColumnElement[Any], network: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition that an IP address, as text, is in a network."""

    def prepended(
        self, times: ColumnElement[Any], time: ColumnElement[Any], count: ColumnElement[int], kept: ColumnElement[int]
    ) -> ColumnElement[Any]:
        """A list of times with one more, `count` times over, before the others, of which so many are kept."""

    def first_of(self, times: ColumnElement[Any], count: int) -> ColumnElement[Any]:
        """At least the first so many of a list of times."""

    def nth_of(self, times: ColumnElement[Any], number: int) -> ColumnElement[datetime]:
        """The time in this place of a list of times, counted from 1; NULL if there are fewer."""

    def position(self, part: ColumnElement[Any], whole: ColumnElement[Any]) -> ColumnElement[int]:
        """Where some bytes begin in others, counted from 1; 0 if they are not there."""

    async def lock(self, session: AsyncSession, number: int) -> None:
        """Wait to be the only one with this lock until the transaction ends, which survives a pooler."""

    async def try_lock(self, session: AsyncSession, number: int, budget: timedelta) -> bool:
        """The same without a wait: False if another transaction has it. Statements may take so long from then on."""

    async def limit_statements(self, session: AsyncSession, budget: timedelta) -> None:
        """Give the statements of this transaction so long: a job may take longer than a request."""

    async def is_read_only(self, session: AsyncSession) -> bool:
        """Whether it takes no writes, as a standby."""

    async def try_disk(self, session: AsyncSession, settings: DatabaseSettings) -> None:
        """Fail as a write does on a full disk if there is no room for `ROOM` bytes; they do not stay."""

    async def estimated_rows(self, session: AsyncSession, statement: SelectBase, cost: float) -> int | None:
        """About how many rows a statement returns, if the planner expects it to cost more than `cost`; else None."""


class Clock(Protocol):
    """The time in a statement that is built once."""

    dialect: Dialect

    def at(self, ahead: timedelta = NO_TIME) -> ColumnElement[datetime]:
        """The time now, plus `ahead`."""

    def after(self, name: str) -> ColumnElement[datetime]:
        """The time now, plus the parameter of this name."""

    def this_hour(self) -> ColumnElement[datetime]:
        """The time at which the hour began, in UTC."""

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of an execution now."""
