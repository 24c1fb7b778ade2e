"""CPU of one lookup of an account on PostgreSQL, by each way to the row: `python -m bench.lookup`."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import click
import uvloop
from sqlalchemy import text
from sqlmodel import col, select

from auth_service.database import migrator
from auth_service.database.dialects import dialect_of
from auth_service.models import AccountView, User
from auth_service.repositories.database import Database
from auth_service.settings import DatabaseSettings
from bench import machine
from tests.support.postgres import Cluster

EMAIL = "ada@example.com"
COLUMNS = "id, hashed_password, role, is_active, is_verified, credential_epoch"
LOOKUP = f"SELECT {COLUMNS} FROM users WHERE email_canonical = "
BY_CORE = text(LOOKUP + ":email")


@click.command()
@click.option("--rounds", default=15, show_default=True, help="Rounds of each way, in turns.")
@click.option("--lookups", default=500, show_default=True, help="Lookups in a round.")
def main(rounds: int, lookups: int) -> None:
    """Print the microseconds of this process's CPU for one lookup by each way: the median of the rounds, the least."""
    with Cluster.create() as cluster:
        cluster.create_database("lookup")
        found = uvloop.run(_measure(cluster.url("lookup"), rounds, lookups))
    click.echo(json.dumps(machine.describe()))
    for name, times in found.items():
        click.echo(f"{name:40} {statistics.median(times):6.0f} {min(times):6.0f}")


class Ways:
    """To the row of one account."""

    def __init__(self, settings: DatabaseSettings, bare: asyncpg.Pool, row: dict[str, Any]) -> None:
        self._database = Database(settings)
        self._engine = dialect_of(settings).make_engine(settings, read_only=False)
        self._bare = bare
        self._row = row
        self._shown = {name: row[name] for name in AccountView.__slots__}

    def named(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        return {
            "our pool, the driver, LoginAccount": self._by_driver,
            "our pool, SQLAlchemy Core": self._by_core,
            "our pool, SQLModel's session, User": self._by_session,
            "SQLAlchemy's engine, Core": self._by_engine,
            "asyncpg.Pool": self._by_asyncpg,
            "User(**row), no statement": self._user_of_row,
            "AccountView(**row), no statement": self._view_of_row,
        }

    async def _by_driver(self) -> Any:
        async with self._database.statement() as tx:
            return await tx.users.find_by_email(EMAIL)

    async def _by_session(self) -> Any:
        async with self._database.statement() as tx:
            return (await tx.session.exec(select(User).where(col(User.email_canonical) == EMAIL))).one()

    async def _by_core(self) -> Any:
        async with self._database.statement() as tx:
            return (await tx.connection.execute(BY_CORE, {"email": EMAIL})).one()

    async def _by_engine(self) -> Any:
        async with self._engine.connect() as connection:
            return (await connection.execute(BY_CORE, {"email": EMAIL})).one()

    async def _by_asyncpg(self) -> Any:
        async with self._bare.acquire() as connection:
            return await connection.fetch(LOOKUP + "$1", EMAIL)

    async def _user_of_row(self) -> Any:
        return User(**self._row)

    async def _view_of_row(self) -> Any:
        return AccountView(**self._shown)

    async def close(self) -> None:
        await self._engine.dispose()
        await self._database.dispose()


async def _measure(url: str, rounds: int, lookups: int) -> dict[str, list[float]]:
    settings = DatabaseSettings(DATABASE_URL=url, _env_file=None)
    database = Database(settings)
    await database.run_sync(migrator.upgrade, migrator.BUDGET)
    async with database.transaction() as tx:
        await tx.users.add({"email": EMAIL, "email_canonical": EMAIL, "hashed_password": "none"})
    await database.dispose()
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as bare:
        ways = Ways(settings, bare, dict(await bare.fetchrow("SELECT * FROM users")))
        found: dict[str, list[float]] = {name: [] for name in ways.named()}
        for _ in range(rounds):
            for name, way in ways.named().items():
                found[name].append(await _microseconds(way, lookups))
        await ways.close()
    return found


async def _microseconds(way: Callable[[], Awaitable[Any]], lookups: int) -> float:
    await asyncio.sleep(0)
    begun = time.process_time()
    for _ in range(lookups):
        await way()
    return (time.process_time() - begun) / lookups * 1e6


if __name__ == "__main__":
    main()
