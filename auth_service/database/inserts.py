"""INSERT with ON CONFLICT, which each dialect has in a class of its own."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql


def insert_into(table: Table, dialect: str) -> Any:
    """Return an INSERT that knows ON CONFLICT on this dialect."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415  # which an engine for SQLite has imported

    return sqlite.insert(table)
