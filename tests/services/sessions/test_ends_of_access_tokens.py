"""No access token outlives its session, at whichever door it is presented."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conftest import MakeClient
from tests.support.client import Client, bearer
from tests.support.forge import part
from tests.support.stored_session import StoredSession

INTERNAL = {"X-Internal-Token": "internal-token-of-the-tests"}
ACCESS_LIFETIME = 300  # seconds


async def sign_in(make_client: MakeClient, **tokens: int) -> tuple[Client, dict[str, Any]]:
    client = await make_client(internal_token=INTERNAL["X-Internal-Token"], tokens=tokens)
    (await client.register("ada@example.com")).raise_for_status()
    return client, await client.sign_in()


async def assert_within(tokens: dict[str, Any], stored: StoredSession, seconds: int, *, idle: int = 10**9) -> None:
    """The access token ends in so many seconds at most, with the session or before, and the answer says so."""
    row, claims = await stored.row(), part(tokens["access_token"], 1)
    end = min(row["expires_at"].timestamp(), row["last_used_at"].timestamp() + idle)
    assert claims["exp"] <= end
    assert claims["exp"] - claims["iat"] == tokens["expires_in"]
    assert seconds - 2 <= tokens["expires_in"] <= seconds


async def test_a_token_that_is_refreshed_near_the_end_of_its_session_ends_with_it(make_client: MakeClient) -> None:
    client, tokens = await sign_in(make_client)
    stored = StoredSession(client, tokens)
    await assert_within(tokens, stored, ACCESS_LIFETIME)
    await stored.change(expires_at=datetime.now(UTC) + timedelta(seconds=100))
    tokens = await client.rotate(tokens["refresh_token"])
    left = tokens["refresh_expires_in"]
    assert 90 < left <= 100
    assert tokens["expires_in"] == left
    await assert_within(tokens, stored, left)


async def test_a_token_of_a_session_that_idles_out_sooner_than_the_token_would_ends_with_it(
    make_client: MakeClient,
) -> None:
    """A repeated answer counts from the refresh that it repeats."""
    client, tokens = await sign_in(make_client, refresh_idle_lifetime=60, access_lifetime=59)
    stored, parent = StoredSession(client, tokens), tokens["refresh_token"]
    await client.rotate(parent)
    await stored.time_passes(seconds=20)
    tokens = await client.rotate(parent)
    assert tokens["expires_in"] == tokens["refresh_expires_in"]
    await assert_within(tokens, stored, 40, idle=60)


async def test_every_door_closes_in_the_second_in_which_the_session_ends(make_client: MakeClient) -> None:
    client, tokens = await sign_in(make_client)
    await StoredSession(client, tokens).change(expires_at=datetime.now(UTC) + timedelta(seconds=3))
    tokens = await client.rotate(tokens["refresh_token"])
    access, exp = tokens["access_token"], part(tokens["access_token"], 1)["exp"]
    end = (await StoredSession(client, tokens).row())["expires_at"].timestamp()
    assert exp <= end

    async def opened() -> list[bool]:
        told = await client.post("/internal/introspect", data={"token": access}, headers=INTERNAL)
        answers = (
            await client.get("/internal/verify", headers=INTERNAL | bearer(access)),
            await client.get("/auth/sessions", headers=bearer(access)),
            await client.me(access),
        )
        return [told.json()["active"], *(answer.is_success for answer in answers)]

    while time.time() < exp - 0.5:
        assert await opened() == [True] * 4 or time.time() >= exp
        await asyncio.sleep(0.1)
    await asyncio.sleep(max(0.0, exp - time.time()))
    assert await opened() == [False] * 4
    asked_at = time.time()
    assert (await client.refresh(tokens["refresh_token"])).status_code == 401 or asked_at < end
