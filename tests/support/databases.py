"""A `Database` of the test's own, on each dialect, and a connection that stands in its way."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from auth_service.database import migrator
from auth_service.repositories.database import Database
from auth_service.repositories.transaction import Transaction
from auth_service.settings import DatabaseSettings

MakeDatabase = Callable[..., Database]

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # a test of the app, there alone


async def query(tx: Transaction, sql: str) -> Any:
    """Run a statement and return the first value of its rows, if it has any."""
    result = await tx.connection.execute(text(sql))
    return result.scalar() if result.returns_rows else None


async def add_user(tx: Transaction, name: str) -> None:
    email = f"{name}@example.com"
    await tx.users.add({"email": email, "email_canonical": email, "hashed_password": "none"})


@pytest.fixture
async def make_database() -> AsyncIterator[MakeDatabase]:
    """Return a `Database` for a URL, with the given settings; it is disposed of at the end."""
    async with AsyncExitStack() as stack:

        def make(url: str, **settings: Any) -> Database:
            database = Database(DatabaseSettings(DATABASE_URL=url, _env_file=None, **settings))
            stack.push_async_callback(database.dispose)
            return database

        yield make


@pytest.fixture
async def rival(postgres_url: str) -> AsyncIterator[Any]:
    """A connection to the test's database that belongs to somebody else."""
    connection = await asyncpg.connect(postgres_url, server_settings={"application_name": "rival"})
    yield connection
    await connection.close(timeout=5)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, make_database: MakeDatabase, tmp_path: Path) -> Database:
    """A database on each dialect, with the schema at head and nothing in it."""
    if request.param == "postgresql":
        return make_database(request.getfixturevalue("postgres_url"))
    embedded = make_database(f"sqlite+aiosqlite:///{tmp_path}/auth.db")
    await embedded.run_sync(migrator.upgrade, migrator.BUDGET)
    return embedded
