"""A second connection to the database of a service under test, for looking at rows and moving them."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import asyncpg


async def run_sql(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement, whose parameters are $1, $2 and so on, commit it, and return its rows."""
    if url.startswith("sqlite"):
        # Not in the loop: an app of this process that is in a transaction could then not end it.
        return await asyncio.to_thread(_on_sqlite, url.partition("///")[2], statement, values)
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()


def _on_sqlite(path: str, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    named = {str(number): value for number, value in enumerate(values, 1)}
    with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
        return connection.execute(statement, named).fetchall()
