"""The secret key and its rotation, and that nothing at rest can be presented as a token."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from auth_service.security.factors.recovery_codes import read_recovery_code
from tests.conftest import SECRET, MakeClient, environment
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client
from tests.support.postgres import Postgres
from tests.support.server import Server
from tests.support.sql import run_sql

NEWER = "bmV3ZXIsIGFsc28gMzIgYnl0ZXMgb3IgbW9yZSwgYXMgYXNrZWQ"
TABLES = (
    "users", "refresh_tokens", "deleted_sessions", "signing_keys", "throttles", "audit_events", "outgoing_mails",
    "link_tokens", "pending_changes", "registrations", "schema_compatibility", "alembic_version", "factors",
    "recovery_codes", "spent_challenges", "job_leases",
)  # fmt: skip
SHORTEST = 14  # bytes of a secret that pyotp takes
VISIBLE = re.compile(r"[!-~]+")

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


def key_id(token: str) -> bytes:
    return packed(token)[:4]


def packed(token: str) -> bytes:
    return base64.urlsafe_b64decode(token.removeprefix("art_") + "=")


@on_a_lasting_database
async def test_a_second_secret_still_reads_the_tokens_of_the_first_and_new_ones_are_of_the_newest(
    make_client: MakeClient,
) -> None:
    before = await make_client()
    (await before.register("ada@example.com")).raise_for_status()
    parent = await before.sign_in()
    after = await make_client(secret_key=f"{NEWER},{SECRET}")
    head = await after.rotate(parent["refresh_token"])
    assert key_id(head["refresh_token"]) != key_id(parent["refresh_token"])
    assert key_id(head["refresh_token"]) == key_id((await after.sign_in())["refresh_token"])
    assert (await after.me(parent["access_token"])).status_code == 200
    again = await after.refresh(parent["refresh_token"])
    assert again.json()["refresh_token"] == head["refresh_token"]
    await after.rotate(head["refresh_token"])


@on_a_lasting_database
async def test_a_secret_that_does_not_open_the_signing_key_is_a_503_and_signs_nobody_in_or_out(
    make_client: MakeClient, database_url: str
) -> None:
    before = await make_client()
    (await before.register("ada@example.com")).raise_for_status()
    tokens = await before.sign_in()
    wrong = await make_client(secret_key=NEWER)
    for answer in (
        await wrong.refresh(tokens["refresh_token"]),
        await wrong.refresh("garbage"),
        await wrong.login(),
        await wrong.me(tokens["access_token"]),  # by a key that may be anybody's, if it does not open
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert await run_sql(database_url, "SELECT count(*) FROM refresh_tokens") == [(1,)], "no session that nobody holds"
    restored = await make_client()
    await restored.rotate(tokens["refresh_token"])


@on_a_lasting_database
async def test_while_nothing_can_be_signed_no_password_is_changed(make_client: MakeClient, database_url: str) -> None:
    """The key of the bearer's token opens, and the one that signs by now does not."""
    before = await make_client()
    (await before.register("ada@example.com")).raise_for_status()
    tokens = await before.sign_in()
    await run_sql(database_url, "UPDATE signing_keys SET state = 'retired', retired_at = activated_at")
    newer = await make_client(secret_key=f"{NEWER},{SECRET}")  # has made a key that the older secret does not open
    older = await make_client(secret_key=SECRET)
    assert (await older.me(tokens["access_token"])).status_code == 200
    refused = await older.change_password(tokens["access_token"], PASSWORD, "another long password")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    await newer.rotate(tokens["refresh_token"])
    assert (await newer.login()).status_code == 200


async def test_nothing_in_the_database_or_in_the_log_can_be_presented(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    env = environment(postgres_url, AUTH_LOG__LEVEL="debug", DB_ECHO="true")
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(env, tmp_path))
        server.wait_ready()
        client = await stack.enter_async_context(Client(base_url=server.base_url, trust_env=False, timeout=30))
        issued, alive = await lead_a_life(client)
        dump = postgres.dump(postgres_url.rpartition("/")[2])
        assert "CREATE TABLE public.refresh_tokens" in dump
        for token in issued:
            assert_not_told(token, dump)
            assert_not_told(token, server.log())
        assert '"path":"/auth/refresh"' in server.log()
        for text in {spelling for value in await stored_values(postgres_url) for spelling in spellings(value)}:
            await assert_worthless(client, text)
        for tokens in alive:
            assert (await client.me(tokens["access_token"])).status_code == 200
            await client.rotate(tokens["refresh_token"])


async def test_nothing_in_the_database_or_in_the_log_makes_or_passes_a_code(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    env = environment(postgres_url, AUTH_LOG__LEVEL="debug", DB_ECHO="true", AUTH_FACTORS__REQUIRED_ROLES="admin")
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(env, tmp_path))
        server.wait_ready()
        client = await stack.enter_async_context(Client(base_url=server.base_url, trust_env=False, timeout=30))
        (await client.register("ada@example.com")).raise_for_status()
        app = await Authenticator.add(client, await client.sign_in())
        waiting = await Authenticator.begin(client, app.tokens["access_token"])
        challenge = await client.challenge()
        told = f"{postgres.dump(postgres_url.rpartition('/')[2])} {server.log()}"
        assert '"path":"/auth/me/totp/{factor_id}/confirm"' in told
        keys = [base64.b32decode(each.secret) for each in (app, waiting)]
        keys += [read_recovery_code(each) or b"" for each in app.recovery_codes]
        for secret in (*keys, app.secret, waiting.secret, *app.recovery_codes, challenge):
            assert not any(spelling.rstrip("=") in told for spelling in spellings(secret)), secret
        for value in await stored_values(postgres_url):
            made = Authenticator(base64.b32encode(as_bytes(value).ljust(SHORTEST, b"\0")).decode())
            assert {made.code(steps) for steps in (-1, 0, 1)}.isdisjoint({app.code()}), value
            for text in spellings(value):
                refused = await client.second_factor(challenge, text)
                assert refused.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.UNPROCESSABLE_ENTITY}, text
        assert (await client.second_factor(challenge, app.code())).status_code == httpx.codes.OK


async def lead_a_life(client: Client) -> tuple[list[str], list[dict[str, Any]]]:
    """Do all that leaves traces; return every refresh token that was issued, and the sessions that are alive."""
    (await client.register("ada@example.com", PASSWORD, "ada")).raise_for_status()
    first = await client.sign_in()
    second = (await client.refresh(first["refresh_token"], "an-idempotency-key")).json()
    head, left = await client.rotate(second["refresh_token"]), await client.sign_in()
    fresh = await client.sign_in()
    await client.logout(left["refresh_token"])
    token = head["refresh_token"]
    await client.refresh(left["refresh_token"])
    await client.refresh(token[:-1] + "!")
    await client.post(f"/auth/refresh?refresh_token={token}", json={"refresh_token": [token], token: token})
    await client.post("/auth/login", json={"email": token, "password": token})
    await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    return [tokens["refresh_token"] for tokens in (first, second, head, left, fresh)], [head, fresh]


def assert_not_told(token: str, text: str) -> None:
    """No part of a token that must stay with the client is in this text, in any encoding."""
    whole = packed(token)
    for part in (whole, whole[4:36], whole[40:]):
        for spelling in spellings(part):
            assert spelling not in text
            assert spelling.rstrip("=") not in text


async def stored_values(url: str) -> list[Any]:
    """Every value of every column, and what an attacker who knows the format can put together from them."""
    tables = await run_sql(
        url,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition",
    )
    assert {name for (name,) in tables} == set(TABLES)
    values = [value for name in TABLES for row in await run_sql(url, f"SELECT * FROM {name}") for value in row]
    hashes = "SELECT secret_hash, idempotency_hash, generation FROM refresh_tokens"
    ((secret_id,),) = await run_sql(url, "SELECT secret_id FROM signing_keys")
    for secret_hash, key_hash, generation in await run_sql(url, hashes):
        untagged = bytes.fromhex(secret_id) + secret_hash + generation.to_bytes(4, "big")
        values += [untagged + tag for tag in (secret_hash[:16], (key_hash or secret_hash)[16:], bytes(16))]
    return [value for value in values if value not in (None, True, False, "")]


def spellings(value: Any) -> Iterator[str]:
    """A value as text, and its bytes in every encoding, with the prefix of a token and without."""
    data = as_bytes(value)
    bare = {data.hex(), base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).rstrip(b"=").decode()}
    if not isinstance(value, bytes):
        bare |= {str(value), json.dumps(value, default=str)}
    for text in bare:
        yield text
        yield f"art_{text}"


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.bytes if isinstance(value, UUID) else str(value).encode()


async def assert_worthless(client: Client, text: str) -> None:
    """Presented wherever a token can be, a text opens nothing."""
    assert (await client.refresh(text)).status_code == httpx.codes.UNAUTHORIZED, text
    assert (await client.logout(text)).status_code == httpx.codes.NO_CONTENT
    if VISIBLE.fullmatch(text):
        assert (await client.me(text)).status_code == httpx.codes.UNAUTHORIZED, text
