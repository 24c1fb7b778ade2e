"""Logs of a real server: one JSON object a line, whatever is sent, and no secret at any level, whatever breaks."""

import asyncio
import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import SECRET
from tests.support.client import Client
from tests.support.logs import FORGED, settled_log, talkative_server
from tests.support.polling import eventually
from tests.support.postgres import Cluster
from tests.support.raw_http import connection, exchange
from tests.support.server import Server
from tests.support.sql import run_sql

PASSWORD = "canary password, long enough"
WRONG = "canary of a wrong password"
# A database's messages can hold the values that they are about.
QUOTING_FAULT = """CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE check_violation USING MESSAGE = NEW.email || NEW.hashed_password; END $$"""


def events(server: Server) -> list[dict[str, Any]]:
    """The log, of which every line must be a JSON object."""
    found = [json.loads(line) for line in server.log().split("\n")[:-1]]  # the last one may still be being written
    assert all(isinstance(event, dict) and "event" in event for event in found)
    return found


def assert_secret(server: Server, secrets: Iterable[str]) -> None:
    """Fail if one of them, or a part of a token, is in the log in one of the usual encodings."""
    log = server.log()
    for part in {part for secret in secrets for part in (secret, *secret.split(".")) if len(part) > 10}:
        raw = part.encode()
        for shape in (part, quote(part), base64.b64encode(raw).decode().rstrip("="), raw.hex(), repr(part)[1:-1]):
            assert shape not in log


async def use_everything(client: Client) -> set[str]:
    """Do all that involves a secret, rightly and wrongly, and return the secrets."""
    await client.register("ada@example.com", PASSWORD)
    await client.register("ada@example.com", PASSWORD)
    tokens = await client.sign_in(password=PASSWORD)
    newer = await client.rotate(tokens["refresh_token"])
    await client.refresh(tokens["refresh_token"], "canary of an idempotency key")
    await client.me(tokens["access_token"])
    await client.me(tokens["refresh_token"])
    await client.me(tokens["access_token"] + "x")
    await client.get(f"/auth/me?access_token={tokens['access_token']}")
    await client.login(password=WRONG)
    for body in ([WRONG], {"password": {WRONG: WRONG}}, {WRONG: WRONG}, {"email": WRONG, "password": WRONG}):
        await client.post("/auth/login", json=body)
        await client.post("/auth/refresh", json=body)
    await client.post("/auth/login", content=WRONG, headers={"Content-Type": "application/json"})
    await client.logout(newer["refresh_token"])
    secrets = {value for answer in (tokens, newer) for name, value in answer.items() if name.endswith("_token")}
    return secrets | {PASSWORD, WRONG, SECRET, "canary of an idempotency key"}


async def test_no_secret_is_logged_at_debug_level_with_echo_also_when_our_own_code_or_a_table_fails(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    async with talkative_server(url, tmp_path) as (server, client):
        secrets = await use_everything(client)
        ((hashed, secret_hash),) = await run_sql(
            url, "SELECT hashed_password, hex(secret_hash) FROM users JOIN refresh_tokens ON user_id = users.id"
        )
        fault = "CREATE TRIGGER fault BEFORE {} BEGIN SELECT RAISE(ABORT, 'fault'); END"
        await run_sql(url, fault.format("INSERT ON refresh_tokens"))
        assert (await client.login(password=PASSWORD)).status_code == 500
        await run_sql(url, "DROP TABLE refresh_tokens")
        assert (await client.login(password=PASSWORD)).status_code == 503
        for token in secrets:
            assert (await client.refresh(token)).status_code in {401, 503}
            assert (await client.logout(token)).status_code in {204, 503}
    assert {"request.failed", "request.unavailable"} <= {event["event"] for event in events(server)}
    assert any("sqlalchemy" in event.get("logger", "") for event in events(server))
    assert_secret(server, {*secrets, hashed, secret_hash.lower(), secret_hash})


async def test_no_secret_is_logged_when_postgresql_crashes_in_the_middle_of_a_login(
    cluster: Cluster, tmp_path: Path
) -> None:
    name = f"logs_{uuid4().hex}"
    cluster.create_database(name)
    url = cluster.url(name)
    patient = {"AUTH_MIGRATE_ON_START": "true", "DB_STATEMENT_TIMEOUT": "30"}
    async with talkative_server(url, tmp_path, **patient) as (server, client):
        try:
            secrets = await use_everything(client)
            await run_sql(url, QUOTING_FAULT)
            await run_sql(url, "CREATE TRIGGER fault BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fault()")
            assert (await client.register("grace@example.com", PASSWORD)).status_code == 500
            await _crash_during_a_login(cluster, url, client)
            for token in secrets:
                assert (await client.refresh(token)).status_code in {401, 503}
        finally:
            cluster.start()
    cluster.drop_database(name)
    assert "request.unavailable" in {event["event"] for event in events(server)}
    assert_secret(server, {*secrets, url, "$argon2id", "grace@example.com"})


async def _crash_during_a_login(cluster: Cluster, url: str, client: Client) -> None:
    holder = await asyncpg.connect(url)
    await holder.execute("BEGIN; LOCK TABLE refresh_tokens")
    login = asyncio.create_task(client.login(password=PASSWORD))
    waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
    await eventually(holder.fetchval, waits)
    await asyncio.to_thread(cluster.stop, "immediate")
    assert (await login).status_code == 503
    holder.terminate()


async def test_an_event_is_one_line_for_a_terminal_too_also_if_its_text_has_more(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    async with talkative_server(url, tmp_path, AUTH_LOG__FORMAT="console") as (server, client):
        log = await settled_log(server, client)
    assert "CREATE TABLE users" in log
    for line in log.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\S+Z \[", re.sub(r"\x1b\[[0-9;]*m", "", line))


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_log_forging_by_line_breaks_in_a_path_or_a_header_makes_no_line(tmp_path: Path, log_format: str) -> None:
    breaks = [
        "\r\n",
        "\n",
        "\r",
        "\u2028",
        "\u2029",
        "\x85",
        "\x0b",
        "\x0c",
        "\x1b[2K\x1b[1G",
        "\x00",
        '"}\n',
        "\u202e",
    ]
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    async with talkative_server(url, tmp_path, AUTH_LOG__FORMAT=log_format, DB_ECHO="false") as (server, client):
        before = await settled_log(server, client)
        for broken in breaks:
            await client.get(f"/{quote(broken)}{quote(FORGED)}{quote(broken)}")
            await client.login(f"ada@example.com{broken}{FORGED}", WRONG)
        for raw in (b"\x85", b"\xe2\x80\xa8", b"\x9b31m", b"\xff"):
            head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            headers = b"User-Agent: %b%b\r\nX-Request-ID: %b%b\r\n" % (raw, FORGED.encode(), raw, FORGED.encode())
            exchange(server.port, head + headers + b"\r\n")
        written = (await settled_log(server, client)).removeprefix(before)
    requests = len(breaks) * 2 + 4 + 1  # splitlines() knows every line break there is
    assert len(written.splitlines()) == written.count("\n") == requests
    assert not any(line.lstrip().startswith(FORGED) for line in written.splitlines())
    assert "\x1b[2K" not in written
    if log_format == "json":
        assert {event["event"] for event in map(json.loads, written.splitlines())} == {"request"}


async def test_each_request_is_one_line_with_its_id_and_without_its_query(tmp_path: Path) -> None:
    async with talkative_server("sqlite+aiosqlite://", tmp_path, DB_ECHO="false") as (server, client):
        await client.get("/problems/not-found?token=canary", headers={"X-Request-ID": "mine"})
        await settled_log(server, client)
    (line,) = [event for event in events(server) if event.get("request_id") == "mine"]
    assert (line["event"], line["method"], line["path"], line["status"]) == ("request", "GET", "/problems/{code}", 200)
    assert "canary" not in server.log()


async def test_a_client_that_hangs_up_in_its_request_is_no_fault_of_ours(tmp_path: Path) -> None:
    async with talkative_server("sqlite+aiosqlite://", tmp_path, DB_ECHO="false") as (server, client):
        with connection(server.port) as opened:
            head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nX-Request-ID: gone\r\n"
            opened.sendall(head + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
            await client.get("/health/live")

        async def is_noted() -> bool:
            return any(event["event"] == "request" and event["request_id"] == "gone" for event in events(server))

        await eventually(is_noted)
    (line,) = [event for event in events(server) if event.get("request_id") == "gone"]
    assert (line["event"], line["level"], line["status"]) == ("request", "info", 499)
    assert not [event for event in events(server) if event["level"] in {"error", "critical"}]
