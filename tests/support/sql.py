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


async def write_past_events(url: str, statement: str, *values: Any) -> None:
    """Run one statement that writes events of the past, which only the owner of the tables can bring about."""
    if url.startswith("sqlite"):
        await run_sql(url, statement, *values)
        return
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("ALTER TABLE audit_events DISABLE TRIGGER audit_events_are_dated")
            await connection.execute(statement, *values)
            await connection.execute("ALTER TABLE audit_events ENABLE TRIGGER audit_events_are_dated")
    finally:
        await connection.close()


def _on_sqlite(path: str, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    named = {str(number): value for number, value in enumerate(values, 1)}
    with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
        return connection.execute(statement, named).fetchall()
