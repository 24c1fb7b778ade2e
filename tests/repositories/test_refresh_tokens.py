"""What a refresh costs PostgreSQL, and the invariants of sessions that the database keeps by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from auth_service.main import create_app
from auth_service.models import REFRESH_TOKENS, USERS
from auth_service.repositories.database import Database
from tests.conftest import PATIENT, MakeClient, make_settings
from tests.support.behind import behind_proxy
from tests.support.client import Client
from tests.support.databases import on_postgresql
from tests.support.polling import eventually
from tests.support.sessions import HOUR, add_sessions, session_ids
from tests.support.sql import run_sql
from tests.support.stored_session import StoredSession

INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE refresh_tokens; --",
    "x'); DELETE FROM users; --",
    "$1; SELECT pg_sleep(60)",
    "%s %(id)s :id {0} \\' \\",
    "' UNION SELECT hashed_password FROM users --",
)


@on_postgresql
async def test_a_refresh_is_one_round_trip(make_client: MakeClient, database_url: str) -> None:
    async with AsyncExitStack() as stack:
        proxy, url = stack.enter_context(behind_proxy(database_url))
        begun = await make_client()
        (await begun.register("ada@example.com")).raise_for_status()
        client = await stack.enter_async_context(not_begun(url))
        token = (await client.rotate((await begun.sign_in())["refresh_token"], times=2))["refresh_token"]
        costs = []
        for _ in range(10):
            proxy.reset_counters()
            token = (await client.rotate(token))["refresh_token"]
            costs.append(proxy.round_trips)
        # The pool may ask in between whether the server is still there, but not each time.
        assert min(costs) == 1
        assert costs.count(1) >= 9


@asynccontextmanager
async def not_begun(url: str) -> AsyncIterator[Client]:
    """A client of an app that was never started: beside its requests, nothing of it speaks to the database."""
    app = create_app(make_settings(url))
    async with Client(transport=httpx.ASGITransport(app=app), base_url="http://auth.example") as client:
        yield client
    await app.state.services.gauges.database.dispose()


@on_postgresql
async def test_a_thousand_refreshes_are_updated_in_place(make_client: MakeClient, database_url: str) -> None:
    client = await make_client(database=PATIENT)
    (await client.register("ada@example.com")).raise_for_status()
    tokens = [(await client.sign_in())["refresh_token"] for _ in range(20)]
    await asyncio.gather(*(client.rotate(token, times=50) for token in tokens))
    # A backend reports what it counted at the latest when it ends.
    mine = "datname = current_database() AND application_name = 'auth_service'"
    await run_sql(database_url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")

    async def counted() -> bool:
        updates = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'refresh_tokens'"
        ((every, in_place),) = await run_sql(database_url, updates)
        return bool(every == 1000 and in_place >= 950)

    await eventually(counted)


async def test_a_second_session_with_the_same_secret_is_refused(database: Database) -> None:
    (session_id,) = await add_sessions(database, HOUR)
    await insert_copy(database, secret_hash=b"another secret")
    with pytest.raises(IntegrityError):
        await insert_copy(database)
    assert len(await session_ids(database) - {session_id}) == 1


async def test_a_session_of_nobody_is_refused(database: Database) -> None:
    (session_id,) = await add_sessions(database, HOUR)
    with pytest.raises(IntegrityError):
        await insert_copy(database, secret_hash=b"another secret", user_id=uuid4())
    assert await session_ids(database) == {session_id}


async def insert_copy(database: Database, **changed: Any) -> None:
    """Insert the oldest session once more, under a new id and with these changes."""
    async with database.transaction() as tx:
        rows = await tx.connection.execute(select(REFRESH_TOKENS).order_by(REFRESH_TOKENS.c.created_at))
        row = dict(rows.mappings().first() or {})
        await tx.connection.execute(insert(REFRESH_TOKENS), {**row, "id": uuid4(), **changed})


async def test_the_sessions_of_a_deleted_user_are_deleted(database: Database) -> None:
    await add_sessions(database, HOUR, HOUR)
    others = await add_sessions(database, HOUR)
    async with database.transaction() as tx:
        theirs = select(REFRESH_TOKENS.c.user_id).where(REFRESH_TOKENS.c.id == others[0]).scalar_subquery()
        await tx.connection.execute(delete(USERS).where(USERS.c.id != theirs))
    assert await session_ids(database) == set(others)


async def test_sql_in_any_field_is_only_text(ada: Client) -> None:
    tokens = await ada.sign_in()
    for text in INJECTIONS:
        assert (await ada.login(f"{text}@example.com")).status_code in {401, 422}
        assert (await ada.login(password=text)).status_code == 401
        assert (await ada.post("/auth/login", json={"username": text, "password": text})).status_code in {401, 422}
        assert (await ada.refresh(text)).status_code == 401
        assert (await ada.logout(text)).status_code == 204
        assert (await ada.refresh(tokens["refresh_token"], text.replace(" ", ""))).status_code == 200
        login = await ada.login(headers={"User-Agent": text, "X-Forwarded-For": text})
        assert (await StoredSession(ada, login.json()).row())["user_agent"] == text
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 200
