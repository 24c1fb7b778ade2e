"""Session decisions use the database's clock, so that containers cannot disagree; SQLite has the process's."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, bindparam, func, literal, type_coerce

from auth_service.database.connection import Connection
from auth_service.models import UtcDateTime

_NO_TIME = timedelta(0)


def time_of(connection: Connection, ahead: timedelta = _NO_TIME) -> ColumnElement[Any]:
    """The time now, plus `ahead`, as an expression for a statement on this connection."""
    if connection.dialect.name == "postgresql":
        return _on_postgresql(ahead)
    return literal(datetime.now(UTC) + ahead, UtcDateTime())


class Clock:
    """The time in a statement that is built once; on SQLite, which has none of its own, its parameters are."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self._fixed: dict[str, timedelta] = {}
        self._given: set[str] = set()

    def at(self, ahead: timedelta = _NO_TIME) -> ColumnElement[Any]:
        """The time now, plus `ahead`."""
        if self.dialect == "postgresql":
            return _on_postgresql(ahead)
        name = f"in_{ahead.total_seconds():.0f}"
        self._fixed[name] = ahead
        return bindparam(name, type_=UtcDateTime())

    def after(self, name: str) -> ColumnElement[Any]:
        """The time now, plus the parameter of this name."""
        if self.dialect == "postgresql":
            return _on_postgresql(bindparam(name, type_=Interval()))
        self._given.add(name)
        return bindparam(name, type_=UtcDateTime())

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of an execution now."""
        if self.dialect == "postgresql":
            return dict(values)
        now = datetime.now(UTC)
        fixed = {name: now + ahead for name, ahead in self._fixed.items()}
        return {name: now + value if name in self._given else value for name, value in values.items()} | fixed


def _on_postgresql(ahead: timedelta | ColumnElement[timedelta]) -> ColumnElement[Any]:
    """`clock_timestamp()` and not `now()`: a statement that waited for a lock must not live in the past."""
    now = func.clock_timestamp(type_=UtcDateTime())
    if isinstance(ahead, timedelta):
        return type_coerce(now + literal(ahead, Interval()), UtcDateTime()) if ahead else now
    return type_coerce(now + ahead, UtcDateTime())
