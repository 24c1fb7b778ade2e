"""Session decisions use the database's clock, so that containers cannot disagree; SQLite has the process's."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, func, literal, type_coerce

from auth_service.models import UtcDateTime
from auth_service.repositories.lease import Lease


def time_of(connection: Lease, ahead: timedelta = timedelta(0)) -> ColumnElement[Any]:
    """The time now, plus `ahead`, as an expression for a statement on this connection.

    `clock_timestamp()` and not `now()`: a statement that waited for a lock must not live in the past.
    """
    if connection.dialect.name == "postgresql":
        now = func.clock_timestamp(type_=UtcDateTime())
        return type_coerce(now + literal(ahead, Interval()), UtcDateTime()) if ahead else now
    return literal(datetime.now(UTC) + ahead, UtcDateTime())
