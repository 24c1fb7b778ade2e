"""The hot routes answer plain requests themselves, the framework all others: every answer is the same on both ways.

A header that nobody reads, sent twice, is what makes a request take the framework's way.
"""

import json
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from auth_service.main import create_app
from tests.conftest import MakeClient, make_settings
from tests.support.client import PASSWORD, Client
from tests.support.logs import settled_log
from tests.support.server import Server
from tests.support.sql import run_sql

Header = tuple[bytes, bytes]
JSON = (b"Content-Type", b"application/json")
LONG_WAY = [(b"X-Nobody-Reads", b"1"), (b"X-Nobody-Reads", b"2")]
PAGE = (b"Origin", b"https://app.example.com")
COOKIE_MODE = (b"X-Auth-Cookie", b"1")
LOGIN = json.dumps({"email": "ada@example.com", "password": PASSWORD}).encode()
BY_USERNAME = json.dumps({"username": "ada", "password": PASSWORD}).encode()
REFRESH = b'{"refresh_token": "REFRESH"}'
BEARER = (b"Authorization", b"Bearer ACCESS")


class Case(NamedTuple):
    """A request; REFRESH and ACCESS in it stand for tokens that are good."""

    path: str
    body: bytes = b""
    headers: tuple[Header, ...] = ()

    @property
    def method(self) -> str:
        return "GET" if self.path.startswith("/auth/me") else "POST"


PLAIN = {
    "a login by e-mail": Case("/auth/login", LOGIN, (JSON,)),
    "a login by username": Case("/auth/login", BY_USERNAME, (JSON,)),
    "a login with a wrong password": Case("/auth/login", LOGIN.replace(b'"}', b'x"}'), (JSON,)),
    "a login of nobody": Case("/auth/login", LOGIN.replace(b"ada", b"eve"), (JSON,)),
    "a refresh": Case("/auth/refresh", REFRESH, (JSON,)),
    "a refresh with a key": Case("/auth/refresh", REFRESH, (JSON, (b"Idempotency-Key", b"!" * 255))),
    "a refresh with a forged token": Case("/auth/refresh", b'{"refresh_token": "art_forged"}', (JSON,)),
    "a refresh through a gateway": Case("/auth/refresh", REFRESH, (JSON, (b"X-Forwarded-For", b"192.0.2.1, x"))),
    "a refresh with a query": Case("/auth/refresh?refresh_token=x", REFRESH, (JSON,)),
    "a refresh from a page": Case("/auth/refresh", REFRESH, (JSON, PAGE)),
    "a refresh from another page": Case("/auth/refresh", REFRESH, (JSON, (b"Origin", b"https://evil.test"))),
    "a refresh with a cookie that is not asked for": Case("/auth/refresh", REFRESH, (JSON, (b"Cookie", b"a=b"))),
    "a body that is no JSON": Case("/auth/refresh", b"REFRESH", (JSON,)),
    "a name twice": Case("/auth/login", LOGIN.replace(b"{", b'{"email": "a", '), (JSON,)),
    "a number that is not finite": Case("/auth/login", b'{"email": 1e999}', (JSON,)),
    "me": Case("/auth/me", b"", (BEARER,)),
    "me with a body": Case("/auth/me", b"x", (BEARER,)),
    "me without a token": Case("/auth/me"),
    "me with another scheme": Case("/auth/me", b"", ((b"Authorization", b"Basic ACCESS"),)),
    "me with a forged token": Case("/auth/me", b"", ((b"Authorization", b"Bearer ACCESSx"),)),
    "me with a refresh token": Case("/auth/me", b"", ((b"Authorization", b"Bearer REFRESH"),)),
}  # fmt: skip

OTHER = {
    "no body": Case("/auth/refresh", b"", ()),
    "no content type": Case("/auth/login", LOGIN, ()),
    "another content type": Case("/auth/refresh", REFRESH, ((b"Content-Type", b"text/plain"),)),
    "a charset": Case("/auth/login", LOGIN, ((b"Content-Type", b"Application/JSON; charset=UTF-8"),)),
    "a foreign charset": Case("/auth/login", LOGIN, ((b"Content-Type", b"application/json; charset=utf-16"),)),
    "two content types": Case("/auth/refresh", REFRESH, (JSON, JSON)),
    "null": Case("/auth/refresh", b"null", (JSON,)),
    "a list": Case("/auth/login", b"[]", (JSON,)),
    "an empty object": Case("/auth/refresh", b"{}", (JSON,)),
    "a token that is null": Case("/auth/refresh", b'{"refresh_token": null}', (JSON,)),
    "an empty token": Case("/auth/refresh", b'{"refresh_token": ""}', (JSON,)),
    "a token that is a number": Case("/auth/refresh", b'{"refresh_token": 1}', (JSON,)),
    "an unknown field": Case("/auth/refresh", b'{"refresh_token": "REFRESH", "x": 1}', (JSON,)),
    "half a surrogate pair": Case("/auth/refresh", b'{"refresh_token": "\\ud800"}', (JSON,)),
    "NUL": Case("/auth/login", LOGIN.replace(b"ada", b"a\\u0000da"), (JSON,)),
    "an e-mail address and a username": Case("/auth/login", LOGIN.replace(b"{", b'{"username": "ada", '), (JSON,)),
    "neither": Case("/auth/login", b'{"password": "x"}', (JSON,)),
    "no password": Case("/auth/login", b'{"email": "ada@example.com"}', (JSON,)),
    "a long password": Case("/auth/login", LOGIN.replace(b'"}', b"x" * 1024 + b'"}'), (JSON,)),
    "an empty key": Case("/auth/refresh", REFRESH, (JSON, (b"Idempotency-Key", b""))),
    "a key with a blank": Case("/auth/refresh", REFRESH, (JSON, (b"Idempotency-Key", b"a b"))),
    "a long key": Case("/auth/refresh", REFRESH, (JSON, (b"Idempotency-Key", b"x" * 256))),
    "a key that is not ASCII": Case("/auth/refresh", REFRESH, (JSON, (b"Idempotency-Key", b"\xe9"))),
    "two keys": Case("/auth/refresh", REFRESH, (JSON, (b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"a"))),
    "a bad key and a bad body": Case("/auth/refresh", b'{"refresh_token": 1}', (JSON, (b"Idempotency-Key", b""))),
    "cookie mode without a cookie": Case("/auth/refresh", b"{}", (JSON, PAGE, COOKIE_MODE)),
    "cookie mode with a token in the body": Case("/auth/refresh", REFRESH, (JSON, PAGE, COOKIE_MODE)),
    "cookie mode without an origin": Case("/auth/login", LOGIN, (JSON, COOKIE_MODE)),
    "a login in cookie mode": Case("/auth/login", LOGIN, (JSON, PAGE, COOKIE_MODE)),
    "cookie mode spelt in another way": Case("/auth/login", LOGIN, (JSON, PAGE, (b"X-Auth-Cookie", b"true"))),
    "me with two tokens": Case("/auth/me", b"", (BEARER, BEARER)),
    "a body of 17 KiB": Case("/auth/refresh", b" " * 17 * 1024, (JSON,)),
    "headers of 17 KiB": Case("/auth/me", b"", (BEARER, (b"X-Long", b"x" * 17 * 1024))),
}  # fmt: skip


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[FastAPI]:
    settings = {"cookies": {"enabled": True}, "cors": {"origins": PAGE[1].decode()}, "throttle": {"enabled": False}}
    app = create_app(make_settings(database_url, **settings))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[Client]:
    async with Client(transport=httpx.ASGITransport(app=app), base_url="http://auth.example") as client:
        (await client.register("ada@example.com", username="ada")).raise_for_status()
        yield client


async def tokens_of(client: Client) -> dict[bytes, bytes]:
    tokens = await client.sign_in()
    return {b"REFRESH": tokens["refresh_token"].encode(), b"ACCESS": tokens["access_token"].encode()}


async def send(client: Client, case: Case, tokens: dict[bytes, bytes], more: Iterable[Header] = ()) -> httpx.Response:
    def filled(text: bytes) -> bytes:
        for name, token in tokens.items():
            text = text.replace(name, token)
        return text

    headers = [(name, filled(value)) for name, value in case.headers]
    named = [(b"X-Request-ID", b"of-both"), *headers, *more]
    return await client.request(case.method, case.path, content=filled(case.body), headers=named)


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """All of an answer, in its order and to the blank, but for what each has for itself: tokens, seconds, a session."""
    own = r'((?:_token|session_id)":|Host-auth-refresh=)[^;,}]+|(refresh_expires_in":|Max-Age=)\d+'
    headers = [(name, re.sub(own, r"\1\2", value.decode())) for name, value in answer.headers.raw]
    return answer.status_code, headers, re.sub(own, r"\1\2", answer.text)


@pytest.mark.parametrize("case", [*PLAIN.values(), *OTHER.values()], ids=[*PLAIN, *OTHER])
async def test_both_ways_lead_to_the_same_answer(client: Client, case: Case) -> None:
    tokens = await tokens_of(client)
    answer, longer = await send(client, case, tokens), await send(client, case, tokens, LONG_WAY)
    assert told(answer) == told(longer)
    if case.path == "/auth/refresh" and answer.is_success:
        assert answer.json()["refresh_token"] == longer.json()["refresh_token"]


@pytest.mark.parametrize("case", PLAIN.values(), ids=PLAIN)
async def test_a_plain_request_does_without_the_framework(app: FastAPI, client: Client, case: Case) -> None:
    by_framework = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        by_framework.append("router" in scope)  # what the framework leaves behind

    tokens = await tokens_of(client)
    async with Client(transport=httpx.ASGITransport(app=watched), base_url="http://auth.example") as direct:
        await send(direct, case, tokens)
        await send(direct, case, tokens, LONG_WAY)
    assert by_framework == [False, True]


@pytest.mark.parametrize("body", [LOGIN, LOGIN[:-1], b"{}" * 9000], ids=["whole", "cut off", "too long"])
async def test_a_body_in_pieces_is_read_like_one_that_comes_at_once(client: Client, body: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 20):
            yield body[start : start + 20]

    headers = [JSON, (b"X-Request-ID", b"of-both")]
    at_once = await client.post("/auth/login", content=body, headers=headers)
    in_pieces = await client.post("/auth/login", content=pieces(), headers=headers)
    assert told(in_pieces) == told(at_once)


async def test_the_trail_of_a_stolen_token_says_where_it_was_used_on_both_ways(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database_url, tokens={"refresh_grace": 0})
    (await client.register("ada@example.com")).raise_for_status()
    for number, more in enumerate(([], LONG_WAY)):
        spent = (await client.sign_in())["refresh_token"]
        await client.rotate(spent)
        thief = [(b"User-Agent", b"Thief"), (b"X-Request-ID", b"theft-%d" % number), *more]
        assert (await client.post("/auth/refresh", json={"refresh_token": spent}, headers=thief)).status_code == 401
    ended = "SELECT request_id, ip, user_agent FROM audit_events WHERE event = 'session.ended' ORDER BY at"
    assert await run_sql(database_url, ended) == [(f"theft-{number}", "127.0.0.1", "Thief") for number in range(2)]


async def test_both_ways_are_logged_alike(server: Server, server_client: Client) -> None:
    for path in ("/auth/login", "/auth/refresh", "/auth/me"):
        method, number = "GET" if path == "/auth/me" else "POST", uuid4().hex
        for way, more in (("plain", []), ("long", LONG_WAY)):
            headers = [JSON, (b"X-Request-ID", f"{way}-{number}".encode()), *more]
            await server_client.request(method, path, content=b"", headers=headers)
        told = [json.loads(line) for line in (await settled_log(server, server_client)).splitlines() if number in line]
        lines = [line for line in told if line["event"] == "request"]  # of denials, only the first of a kind has a line
        assert [line.pop("request_id").partition("-")[0] for line in lines] == ["plain", "long"]
        one, other = ([*line, line["event"], line["method"], line["path"], line["status"]] for line in lines)
        assert one == other
        assert lines[0]["path"] == path
