"""Sessions of a chosen age, put straight into the tables, for tests of what time does to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from auth_service.database import migrator
from auth_service.models import LINK_TOKENS, REFRESH_TOKENS, USERS
from auth_service.repositories.database import Database
from auth_service.settings import DatabaseSettings
from tests.support.sql import run_sql

HOUR = timedelta(hours=1)
_MANY = """
INSERT INTO refresh_tokens (id, user_id, credential_epoch, secret_hash, generation, rotations, created_at, last_used_at,
                            expires_at)
SELECT gen_random_uuid(), (SELECT id FROM users LIMIT 1), 0, sha256(uuid_send(gen_random_uuid())), 0, '{}', now(),
       now(), now() + $2::float8 * (number + 1) * interval '1 second'
FROM generate_series(1, $1::int) AS number
"""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A database with its schema at head, for whoever the URL names, closed after the block."""
    database = Database(DatabaseSettings(DATABASE_URL=url, _env_file=None))
    try:
        await database.run_sync(migrator.upgrade, migrator.BUDGET)
        yield database
    finally:
        await database.dispose()


async def add_sessions(database: Database, *lives: timedelta, revoked: bool = False) -> list[UUID]:
    """Add a user with a session for each of these absolute lives from now on; return the ids of the sessions."""
    now, user_id, ids = datetime.now(UTC), uuid4(), [uuid4() for _ in lives]
    common = {
        "user_id": user_id, "credential_epoch": 0, "generation": 0, "rotations": [], "created_at": now,
        "last_used_at": now, "revoked_at": now if revoked else None, "revoked_reason": "logout" if revoked else None,
    }  # fmt: skip
    sessions = [
        {"id": session_id, "secret_hash": session_id.bytes, "expires_at": now + life, **common}
        for session_id, life in zip(ids, lives, strict=True)
    ]
    async with database.transaction() as tx:
        await tx.connection.execute(insert(USERS), _user(user_id, now))
        await tx.connection.execute(insert(REFRESH_TOKENS), sessions)
    return ids


async def add_ended(database: Database, user_id: UUID, number: int, ago: timedelta) -> list[UUID]:
    """Add so many sessions of a user that have ended, a second after each other and the last one so long ago."""
    ids, last = [uuid4() for _ in range(number)], datetime.now(UTC) - ago
    ends = [last - timedelta(seconds=n) for n in range(number)]
    sessions = [
        {"id": session_id, "secret_hash": session_id.bytes, "created_at": end - HOUR, "last_used_at": end,
         "expires_at": end + 24 * 30 * HOUR, "revoked_at": end, "revoked_reason": "logout", "user_id": user_id,
         "credential_epoch": 0, "generation": 0, "rotations": [], "user_agent": "A" * 200, "ip": "192.0.2.1"}
        for session_id, end in zip(ids, ends, strict=True)
    ]  # fmt: skip
    async with database.transaction() as tx:
        for start in range(0, number, 500):
            await tx.connection.execute(insert(REFRESH_TOKENS), sessions[start : start + 500])
    return ids


async def add_links(database: Database, *lives: timedelta) -> list[UUID]:
    """Add for each of these lives from now on a user with a link of a mail; return the ids of the users."""
    now, ids = datetime.now(UTC), [uuid4() for _ in lives]
    common = {"purpose": "verify-email", "email_canonical": "", "credential_epoch": 0, "created_at": now}
    links = [
        {"user_id": user_id, "token_hash": user_id.bytes, "expires_at": now + life, **common}
        for user_id, life in zip(ids, lives, strict=True)
    ]
    async with database.transaction() as tx:
        await tx.connection.execute(insert(USERS), [_user(user_id, now) for user_id in ids])
        await tx.connection.execute(insert(LINK_TOKENS), links)
    return ids


def _user(user_id: UUID, now: datetime) -> dict[str, Any]:
    email = f"{user_id}@example.com"
    return {
        "id": user_id, "email": email, "email_canonical": email, "hashed_password": "none", "role": "user",
        "is_active": True, "is_verified": False, "credential_epoch": 0, "created_at": now, "updated_at": now,
    }  # fmt: skip


async def add_many_sessions(url: str, *, expired: int, live: int = 0) -> None:
    """On PostgreSQL, add so many sessions that ended, and that will end, a second after each other."""
    async with opened(url) as database:
        await add_sessions(database, HOUR)
    await add_expired_sessions(url, expired)
    await run_sql(url, _MANY, live, 3600.0)
    await run_sql(url, "ANALYZE refresh_tokens")


async def add_expired_sessions(url: str, count: int) -> None:
    """On PostgreSQL, add so many sessions of somebody who is there, which ended a second after each other."""
    await run_sql(url, _MANY, count, -1.0)


async def session_ids(database: Database) -> set[UUID]:
    """The ids of all sessions that have a row."""
    async with database.statement() as tx:
        return set((await tx.connection.execute(select(REFRESH_TOKENS.c.id))).scalars())


async def count_expired(url: str) -> int:
    """On PostgreSQL, how many sessions have a row and no life."""
    ((count,),) = await run_sql(url, "SELECT count(*) FROM refresh_tokens WHERE expires_at <= now()")
    return int(count)
