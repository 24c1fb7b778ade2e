"""The two engines: pooled asyncpg for PostgreSQL, aiosqlite for the embedded default."""

import ipaddress
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, NullPool, StaticPool, event
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import Pool
from sqlalchemy.util.concurrency import in_greenlet

from auth_service.database.hosts import Hosts
from auth_service.models import ROTATIONS_KEPT
from auth_service.settings import DatabaseSettings

APPLICATION_NAME = "auth_service"
IDLE_IN_TRANSACTION = timedelta(seconds=10)


def make_engine(settings: DatabaseSettings, *, read_only: bool = False) -> AsyncEngine:
    """Return an engine; nothing is connected yet. PostgreSQL can be told to refuse what writes."""
    return _postgresql(settings, read_only) if settings.is_postgresql else _sqlite(settings)


def make_probe_engine(settings: DatabaseSettings, patience: timedelta) -> AsyncEngine:
    """Return an engine for health checks: a connection of its own each time, and no longer wait than `patience`."""
    if not settings.is_postgresql:
        return _sqlite(settings)
    seconds = patience.total_seconds()
    arguments = {**connect_args(settings), "timeout": seconds, "command_timeout": seconds}
    return create_async_engine("postgresql+asyncpg://", poolclass=NullPool, connect_args=arguments)


def _postgresql(settings: DatabaseSettings, read_only: bool) -> AsyncEngine:
    arguments = connect_args(settings)
    arguments["async_creator_fn"] = _where_it_can_be_awaited(arguments["async_creator_fn"])
    if read_only and not settings.pgbouncer:
        arguments["server_settings"]["default_transaction_read_only"] = "on"
    return create_async_engine(
        "postgresql+asyncpg://",  # asyncpg reads the URLs itself: TLS modes as in libpq
        connect_args=arguments,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout.total_seconds(),
        pool_recycle=int(settings.pool_recycle.total_seconds()),
        echo=settings.echo,
        hide_parameters=True,
        **({} if settings.pgbouncer else {"isolation_level": "AUTOCOMMIT"}),
    )


def _where_it_can_be_awaited(connect: Callable[..., Any]) -> Callable[..., Any]:
    """SQLAlchemy finds out too that nobody can wait for a new connection, but leaves a coroutine behind then."""

    def connect_or_refuse(**arguments: Any) -> Any:
        if not in_greenlet():
            raise MissingGreenlet
        return connect(**arguments)

    return connect_or_refuse


def connect_args(settings: DatabaseSettings) -> dict[str, Any]:
    """What asyncpg is told for every connection."""
    arguments: dict[str, Any] = {
        "async_creator_fn": Hosts("postgresql:" + settings.location).connect,
        "timeout": settings.connect_timeout.total_seconds(),
        "server_settings": {"application_name": APPLICATION_NAME},
    }
    if settings.pgbouncer:
        # A server connection changes hands between transactions: nothing may be prepared or set on it.
        return arguments | {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    arguments["server_settings"] |= {
        "jit": "off",
        "statement_timeout": _milliseconds(settings.statement_timeout),
        # A third, so that a lock can be waited for three times before the client has had to wait too long.
        "lock_timeout": _milliseconds(settings.statement_timeout / 3),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION),
    }
    return arguments


def _milliseconds(duration: timedelta) -> str:
    return str(max(1, round(duration.total_seconds() * 1000)))


def _sqlite(settings: DatabaseSettings) -> AsyncEngine:
    pool: type[Pool] = NullPool if settings.sqlite_file else StaticPool
    engine = create_async_engine(
        "sqlite+aiosqlite:" + settings.location,
        poolclass=pool,
        connect_args={"timeout": settings.statement_timeout.total_seconds()},
        echo=settings.echo,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    connection.create_function("prepend_times", 3, _prepend_times, deterministic=True)
    connection.create_function("is_in_network", 2, _is_in_network, deterministic=True)
    connection.create_function("regexp_replace", 4, _regexp_replace, deterministic=True)
    cursor = connection.cursor()
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: taking it later, after a read, can fail for good (SQLITE_BUSY_SNAPSHOT)."""
    mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _is_in_network(address: str | None, network: str | None) -> bool:
    """What <<= does on PostgreSQL."""
    return (
        address is not None and network is not None and ipaddress.ip_address(address) in ipaddress.ip_network(network)
    )


def _regexp_replace(text: str | None, pattern: str, replacement: str, _all: str) -> str | None:
    return None if text is None else re.sub(pattern, replacement, text)


def _prepend_times(times: str, now: str, count: int) -> str:
    """What array_fill() and || do on PostgreSQL."""
    return json.dumps(([now.replace(" ", "T") + "+00:00"] * count + json.loads(times))[:ROTATIONS_KEPT])
