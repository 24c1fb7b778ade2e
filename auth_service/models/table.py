"""What every table is, and column types that mean the same on every dialect."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, DateTime, MetaData, Text, case, cast, literal_column, type_coerce
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

SQLModel.metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Table(SQLModel):
    """What every table is. No row is validated, so that no validator need be built when a process starts."""

    model_config = {"defer_build": True}


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


class DoubtfulTime(UtcDateTime):
    """A time that somebody else may have written: None if it is not between 1970 and 9999.

    A driver that meets a time that Python cannot hold fails for all the rows of its answer.
    """

    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        is_held = column.between(literal_column("'1970-01-01'", self), literal_column("'9999-01-01'", self))
        return type_coerce(case((is_held, column)), self)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _or_none(super().result_processor(dialect, coltype))


class DoubtfulTexts(TypeDecorator[dict[str, str]]):
    """An object of JSON that somebody else may have written: None if it cannot be read, or holds more than strings.

    It is read as text: what a driver cannot parse, it fails on for all the rows of its answer.
    """

    impl = JSON
    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return type_coerce(cast(column, Text), self)

    def result_processor(self, _dialect: Dialect, _coltype: object) -> Callable[[Any], dict[str, str] | None]:
        return _or_none(_texts)


def _texts(stored: str) -> dict[str, str] | None:
    found = json.loads(stored)
    return found if isinstance(found, dict) and all(isinstance(each, str) for each in found.values()) else None


def _or_none(read: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def try_to_read(stored: Any) -> Any:
        try:
            return read(stored) if read else stored
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None

    return try_to_read


class IsoTimes(TypeDecorator[list[datetime]]):
    """A list of times as JSON, for SQLite."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: list[datetime] | None, dialect: Dialect) -> Any:
        return None if value is None else [time.astimezone(UTC).isoformat() for time in value]

    def process_result_value(self, value: Any, dialect: Dialect) -> list[datetime] | None:
        return None if value is None else [datetime.fromisoformat(time) for time in value]
