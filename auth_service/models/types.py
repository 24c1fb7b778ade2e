"""Column types that mean the same on every dialect."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC on every dialect; SQLite, which has no time zones, stores it as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class IsoTimes(TypeDecorator[list[datetime]]):
    """A list of times as JSON, for SQLite."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: list[datetime] | None, dialect: Dialect) -> Any:
        return None if value is None else [time.astimezone(UTC).isoformat() for time in value]

    def process_result_value(self, value: Any, dialect: Dialect) -> list[datetime] | None:
        return None if value is None else [datetime.fromisoformat(time) for time in value]
