"""Secrets sent through every route and every command, before, while and after the database is killed, and told by none.

The whole suite is such a run too, at DEBUG level: `tests/support/canaries.py` looks through each log and answer.
"""

import asyncio
import itertools
import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.canaries import KINDS, leaks
from tests.support.client import Client
from tests.support.postgres import Cluster
from tests.support.server import Server

EMAIL = "canary.address@example.com"
KEYS = ("correct", "wrong", "new", "key of idempotency", "bearer", "cookie", "query", "path", "host", "field")
CANARY = {key: f"canary: {key}, with + / \u00e4 & 'quotes' {uuid4()}" for key in KEYS}
SECRET_KEY, INTERNAL_TOKEN, DATABASE_PASSWORD = (f"canary{uuid4().hex}{uuid4().hex}" for _ in range(3))
PEM = f"-----BEGIN PRIVATE KEY-----\n{uuid4().hex}{uuid4().hex}\n-----END PRIVATE KEY-----\n"
METHODS = {"get", "post", "put", "patch", "delete"}
# One interpreter for all commands, each with settings of its own; any other end than a command's own is a failure.
RUN_ALL = """
import json, os, sys
from auth_service.cli import main
for settings, words in json.load(sys.stdin):
    os.environ.update(settings)
    try:
        main(words)
    except SystemExit:
        pass
    for name in settings:
        os.environ.pop(name)
"""


@dataclass
class Witness:
    """All that was told: answers, and what they may hold; and every secret that was sent or issued."""

    answers: list[tuple[str, str]] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    secrets: set[str] = field(default_factory=lambda: {*CANARY.values(), SECRET_KEY, INTERNAL_TOKEN, DATABASE_PASSWORD})

    async def note(self, answer: httpx.Response) -> None:
        await answer.aread()
        text, self.statuses = answer.text, self.statuses | {answer.status_code}
        if answer.request.url.path in {"/auth/login", "/auth/refresh", "/auth/me/password"} and answer.is_success:
            tokens = answer.json()
            issued = {tokens.pop("access_token"), tokens.pop("refresh_token")}
            text, self.secrets = json.dumps(tokens), self.secrets | issued
        self.answers.append((f"{answer.request.method} {answer.request.url.path}", f"{answer.headers} {text}"))

    def assert_silent(self, text: str, where: str, *more: str) -> None:
        assert leaks(text, [*self.secrets, *more]) == [], where
        assert KINDS.search(text) is None, where


@asynccontextmanager
async def watched_client(server: Server, witness: Witness) -> AsyncIterator[Client]:
    hooks = {"response": [witness.note]}
    async with Client(base_url=server.base_url, trust_env=False, timeout=30, event_hooks=hooks) as client:
        yield client


async def live(client: Client, email: str) -> None:
    """Use every route as its user does; while the database is away, as far as that goes."""
    await client.register(email, CANARY["correct"])
    await client.register(email, CANARY["correct"])
    await client.login(email, CANARY["wrong"])
    login = await client.login(email, CANARY["correct"])
    if login.status_code != httpx.codes.OK:
        return
    first = login.json()
    second = (await client.refresh(first["refresh_token"], quote(CANARY["key of idempotency"]))).json()
    await client.refresh(first["refresh_token"], quote(CANARY["key of idempotency"]))
    await client.me(second["access_token"])
    await client.sessions(second["access_token"], ended=True)
    await client.change_password(second["access_token"], CANARY["wrong"], CANARY["new"])
    changed = await client.change_password(second["access_token"], CANARY["correct"], CANARY["new"])
    second = changed.json() if changed.status_code == httpx.codes.OK else second
    await client.end_session(second["access_token"], str(uuid4()))
    await client.get("/metrics", headers={"X-Internal-Token": INTERNAL_TOKEN})
    await client.get("/metrics", headers=[(b"X-Internal-Token", CANARY["bearer"].encode())])
    await client.logout(second["refresh_token"])
    await client.refresh(second["refresh_token"])


async def misuse(client: Client, document: dict[str, Any]) -> None:
    """Send secrets in every place where a request to any documented route has one."""
    headers = {
        "Authorization": f"Bearer {CANARY['bearer']}", "Cookie": f"session={CANARY['cookie']}",
        "Idempotency-Key": CANARY["key of idempotency"], "X-Forwarded-For": CANARY["host"],
        "X-Request-ID": CANARY["field"], "X-Internal-Token": CANARY["bearer"], "User-Agent": CANARY["field"],
    }  # fmt: skip
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    for path, operations in document["paths"].items():
        there = "/".join(quote(CANARY["path"], "") if part.startswith("{") else part for part in path.split("/"))
        for method in METHODS & set(operations):
            url = f"{there}?access_token={quote(CANARY['query'])}"
            for body in bodies(document, operations[method]):
                await client.request(method, url, content=body, headers=[(b"Content-Type", b"application/json"), *sent])
            await client.request(method, there, headers={"Authorization": "Bearer " + "x" * 60})
    await client.request("TRACE", f"/{quote(CANARY['path'])}", headers=sent)


def bodies(document: dict[str, Any], operation: dict[str, Any]) -> list[bytes]:
    """Well-formed and malformed bodies that hold a secret wherever one fits."""
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
    fields = document["components"]["schemas"].get(name, {}).get("properties", {})
    secret = CANARY["field"]
    whole, listed = dict.fromkeys(fields, secret), {name: [secret] for name in fields}
    shapes: list[Any] = [whole, listed, {secret: secret}, [secret], secret]
    return [json.dumps(shape).encode() for shape in shapes] + [f'{{"password": "{secret}'.encode()]


def run_commands(env: dict[str, str], folder: Path) -> str:
    """Every command, with secrets in its arguments, its settings and its input; return all that was printed."""
    pem = folder / "key.pem"
    pem.write_text(PEM)
    right = ["cleanup", "cleanup --json", "audit", "audit --json", "keys list", "keys rotate", "keys advance",
             "keys rewrap", f"keys import {pem}", "openapi", "migrate"]  # fmt: skip
    runs: list[tuple[dict[str, str], list[str]]] = [({}, line.split()) for line in right]
    runs += [({}, [*line.split(), EMAIL]) for line in ("users disable", "users enable", "audit --user")]
    hostile = CANARY["field"]
    runs += [({}, [*line.split(), hostile]) for line in ("users disable", "keys revoke", "audit --user")]
    settings = ("AUTH_SECRET_KEY", "AUTH_INTERNAL_TOKEN", "DATABASE_URL", "AUTH_TOKENS__LEEWAY", "AUTH_PROXY__TRUSTED")
    runs += [({name: hostile[:15]}, ["cleanup"]) for name in settings]
    runs += [({"DATABASE_URL": env["DATABASE_URL"].replace("@", "@nowhere.invalid:99999,")}, ["cleanup"])]
    words: tuple[list[str], ...] = (
        [],
        ["serve"],
        ["migrate"],
        ["cleanup"],
        ["audit"],
        ["keys"],
        ["users"],
        ["openapi"],
    )
    runs += [({}, [*word, "--help"]) for word in words]
    command = [sys.executable, "-c", RUN_ALL]
    done = subprocess.run(
        command, input=json.dumps(runs), env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_secret_is_told_by_any_route_or_command_also_when_the_database_is_killed(
    cluster: Cluster, tmp_path: Path, log_format: str
) -> None:
    name, witness = f"canaries_{uuid4().hex}", Witness()
    cluster.create_database(name)
    url = cluster.url(name).replace("postgres@", f"postgres:{DATABASE_PASSWORD}@")
    logged_before = len(cluster.log())
    loud = {"AUTH_LOG__LEVEL": "debug", "DB_ECHO": "true", "AUTH_LOG__FORMAT": log_format}
    own = {"AUTH_SECRET_KEY": SECRET_KEY, "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN, "AUTH_MIGRATE_ON_START": "true"}
    env = environment(url, **loud, **own, AUTH_DOCS__ENABLED="true", AUTH_TOKENS__REFRESH_GRACE="0")
    with Server(env, tmp_path) as server:
        server.wait_ready()
        async with watched_client(server, witness) as client:
            document = (await client.get("/openapi.json")).json()
            await live(client, EMAIL)
            await misuse(client, document)
            printed = [await asyncio.to_thread(run_commands, env, tmp_path)]
            busy = [asyncio.create_task(live(client, f"{number}.{EMAIL}")) for number in range(4)]
            await asyncio.sleep(0)
            try:
                await asyncio.to_thread(cluster.stop, "immediate")
                with suppress(httpx.HTTPError, KeyError):
                    await asyncio.gather(*busy)
                await live(client, EMAIL)
                await misuse(client, document)
                printed.append(await asyncio.to_thread(run_commands, env, tmp_path))
            finally:
                await asyncio.to_thread(cluster.start)
            await asyncio.to_thread(server.wait_ready)
            await live(client, f"after.{EMAIL}")
    assert witness.statuses >= {200, 201, 204, 401, 404, 409, 422, 503}
    assert not witness.statuses & {500}
    trail = cluster.execute("SELECT * FROM audit_events", database=name)
    assert "login.succeeded" in trail
    assert "SELECT" in server.log()
    for number, (route, answer) in enumerate(witness.answers):
        witness.assert_silent(answer, f"answer {number} of {route}")
    for text, where in ((server.log(), "log"), (trail, "trail"), *((text, "command") for text in printed)):
        witness.assert_silent(text, where)
    witness.assert_silent(cluster.log()[logged_before:], "log of PostgreSQL")
    assert leaks(server.log() + trail, [EMAIL]) == []
    cluster.drop_database(name)


def test_a_canary_is_found_in_every_encoding_wherever_it_stands_among_other_bytes() -> None:
    canary = "a canary? ready/to+sing \u00e4\n"
    encoders: list[Callable[[bytes], bytes | str]] = [
        bytes, bytes.hex, quote, quote_plus, b64encode, urlsafe_b64encode, lambda raw: json.dumps(raw.decode()),
        lambda raw: repr(raw.decode()),
    ]  # fmt: skip
    for encode, before, after in itertools.product(encoders, range(4), range(4)):
        told = encode(b"x" * before + canary.encode() + b"y" * after)
        assert leaks(told if isinstance(told, str) else told.decode(), [canary]), (encode, before, after)
