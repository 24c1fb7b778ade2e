"""What a session survives: a service that is killed, and an answer that is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth_service.security.keys import SecretKeys
from auth_service.security.tokens.refresh_tokens import RefreshTokenCodec
from tests.conftest import SECRET, environment
from tests.support.client import Client
from tests.support.endings import assert_dead
from tests.support.gate import gate
from tests.support.polling import eventually
from tests.support.server import Server
from tests.support.sql import run_sql
from tests.support.tcp_proxy import TcpProxy

HOLD = "SELECT 1 FROM refresh_tokens WHERE id = $1 FOR UPDATE"
SPENT_LONG_AGO = "UPDATE refresh_tokens SET rotations = ARRAY[now() - interval '1 hour']"


@asynccontextmanager
async def started(url: str, folder: Path) -> AsyncIterator[tuple[Server, Client]]:
    """A real service, and a client for it."""
    with Server(environment(url), folder) as server:
        server.wait_ready()
        async with client_of(server.port) as client:
            yield server, client


def client_of(port: int) -> Client:
    return Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)


async def sign_in(client: Client) -> dict[str, Any]:
    (await client.register("ada@example.com")).raise_for_status()
    return await client.sign_in()


def computed_successor(token: str) -> str:
    """What only the service can compute: the next generation of a token."""
    tokens = RefreshTokenCodec(SecretKeys([SECRET]))
    read = tokens.read(token)
    assert read is not None
    return tokens.issue(read.secret, read.generation + 1)


async def test_a_detected_reuse_survives_that_the_service_is_killed_right_after_its_401(
    postgres_url: str, tmp_path: Path
) -> None:
    async with started(postgres_url, tmp_path) as (server, client):
        parent = await sign_in(client)
        bystander = await client.sign_in()
        head = await client.rotate(parent["refresh_token"])
        await run_sql(postgres_url, SPENT_LONG_AGO + " WHERE generation = 1")
        answer = await client.refresh(parent["refresh_token"])
        server.kill()
        assert answer.status_code == 401
    async with started(postgres_url, tmp_path) as (_, client):
        await assert_dead(client, head)
        await assert_dead(client, parent)
        await client.rotate(bystander["refresh_token"])


async def test_a_rotation_during_which_the_service_is_killed_loses_no_session(
    postgres_url: str, tmp_path: Path
) -> None:
    async with gate(postgres_url) as held:
        async with started(postgres_url, tmp_path) as (server, client):
            tokens = await sign_in(client)
            await held.close(HOLD, tokens["session_id"])
            refresh = asyncio.create_task(client.refresh(tokens["refresh_token"]))
            await held.wait_for(1)
            server.kill()
            with pytest.raises(httpx.TransportError):
                await refresh
            await held.open()
        async with started(postgres_url, tmp_path) as (_, client):
            head = await client.rotate(tokens["refresh_token"])
            assert head["refresh_token"] == computed_successor(tokens["refresh_token"])
            await client.rotate(head["refresh_token"])


async def test_an_answer_that_is_lost_after_the_commit_is_given_again(postgres_url: str, tmp_path: Path) -> None:
    async with started(postgres_url, tmp_path) as (server, client):
        tokens = await sign_in(client)
        await lose_the_answer(server.port, tokens)
        assert await run_sql(postgres_url, "SELECT generation FROM refresh_tokens") == [(1,)], "it was committed"
        head = await client.rotate(tokens["refresh_token"])
        assert head["refresh_token"] == computed_successor(tokens["refresh_token"])
        await client.rotate(head["refresh_token"])


async def test_an_answer_that_is_lost_for_hours_is_given_again_for_the_same_idempotency_key(
    postgres_url: str, tmp_path: Path
) -> None:
    async with started(postgres_url, tmp_path) as (server, client):
        tokens = await sign_in(client)
        await lose_the_answer(server.port, tokens, "the-request")
        await run_sql(postgres_url, SPENT_LONG_AGO)
        answer = await client.refresh(tokens["refresh_token"], "the-request")
        assert answer.json()["refresh_token"] == computed_successor(tokens["refresh_token"])
        assert (await client.refresh(tokens["refresh_token"])).status_code == 401


async def lose_the_answer(port: int, tokens: dict[str, Any], key: str | None = None) -> None:
    """Refresh through a gateway that swallows the answer; return when the service has given it."""
    with TcpProxy(port) as proxy:
        proxy.swallow_answers()
        async with client_of(proxy.port) as client:
            refresh = asyncio.create_task(client.refresh(tokens["refresh_token"], key))

            async def has_answered() -> bool:
                return proxy.bytes_down > 0

            await eventually(has_answered)
            proxy.reset()
            with pytest.raises(httpx.TransportError):
                await refresh


async def test_a_rotation_that_was_made_up_for_is_recorded_in_the_log(postgres_url: str, tmp_path: Path) -> None:
    async with started(postgres_url, tmp_path) as (server, client):
        tokens = await sign_in(client)
        head = await client.rotate(tokens["refresh_token"], times=3)
        await run_sql(postgres_url, "UPDATE refresh_tokens SET generation = 1, rotations = rotations[3:]")
        await client.rotate(head["refresh_token"])
        (line,) = [line for line in server.log().splitlines() if "refresh.fast_forwarded" in line]
        assert f'"sid":"{tokens["session_id"]}"' in line
        assert '"generations":2' in line
