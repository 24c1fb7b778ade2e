"""A connection to SQLite: opened, set up, its transactions begun; and the functions that Python lends it."""

import asyncio
import ipaddress
import json
import re
import sqlite3
from datetime import datetime
from typing import Any

import aiosqlite
from sqlalchemy import Connection


def prepare(connection: Any, _record: object) -> None:
    """Set a new connection of the driver's up, and lend it the functions."""
    connection.isolation_level = None  # the driver must not begin transactions of its own
    connection.create_function("prepend_times", 4, _prepend_times, deterministic=True)
    connection.create_function("nth_time", 2, _nth_time, deterministic=True)
    connection.create_function("is_in_network", 2, _is_in_network, deterministic=True)
    connection.create_function("regexp_replace", 4, _regexp_replace, deterministic=True)
    cursor = connection.cursor()
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """Connect; a thread that could not is waited for, as it speaks to its loop once more, which may be closed then."""
    connection = aiosqlite.connect(*arguments, **options)
    thread = connection._thread  # noqa: SLF001  # SQLAlchemy reaches for it too
    thread.daemon = True
    try:
        return await connection
    except sqlite3.Error:
        await asyncio.to_thread(thread.join)
        raise


def begin(connection: Connection) -> None:
    """A writer takes the lock at once: taking it later, after a read, can fail for good (SQLITE_BUSY_SNAPSHOT)."""
    mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _is_in_network(ip: str | None, network: str | None) -> bool:
    """What <<= does on PostgreSQL."""
    return ip is not None and network is not None and ipaddress.ip_address(ip) in ipaddress.ip_network(network)


def _regexp_replace(text: str | None, pattern: str, replacement: str, _all: str) -> str | None:
    return None if text is None else re.sub(pattern, replacement, text)


def _prepend_times(times: str, now: str, count: int, kept: int) -> str:
    """What array_fill() and || do on PostgreSQL."""
    return json.dumps(([now.replace(" ", "T") + "+00:00"] * count + json.loads(times))[:kept])


def _nth_time(times: str, number: int) -> str | None:
    """What [] does on PostgreSQL, as a time is stored here."""
    found: list[str] = json.loads(times)
    if number > len(found):
        return None
    return datetime.fromisoformat(found[number - 1]).replace(tzinfo=None).isoformat(" ", "microseconds")
