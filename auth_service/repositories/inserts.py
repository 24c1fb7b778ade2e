"""INSERT with ON CONFLICT, which each dialect has in a class of its own."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(table: Table, dialect: str) -> Any:
    """Return an INSERT that knows ON CONFLICT on this dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
