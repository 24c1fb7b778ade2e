"""`auth-service audit` as an operator meets it: what it chooses, how it prints, how it fails."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.conftest import PATIENT, MakeClient, environment
from tests.support.audit import command, read_audit
from tests.support.client import Client
from tests.support.server import run_command
from tests.support.sql import write_past_events

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


@on_a_lasting_database
async def test_each_option_narrows_the_answer(ada: Client, database_url: str, tmp_path: Path) -> None:
    (await ada.register("grace@example.com")).raise_for_status()
    await ada.sign_in()
    await ada.login(password="a wrong one, long enough")
    newest_first = await read_audit(database_url, tmp_path)
    words = ["login.failed", "login.succeeded", "account.registered", "account.registered", "signing_key.activated"]
    assert [row["event"] for row in newest_first] == words
    failed, login, grace, registered, _ = newest_first
    user_id = registered["user_id"]
    asked = {
        ("--user", "ADA@example.com", "--limit", "2"): [failed, login],
        ("--user", user_id, "--event", "login.failed", "--event", "account.registered"): [failed, registered],
        ("--since", grace["at"], "--until", login["at"]): [grace],
    }
    for options, expected in asked.items():
        assert await read_audit(database_url, tmp_path, *options) == expected


@on_a_lasting_database
async def test_an_event_is_a_line_also_when_somebody_wrote_line_breaks_into_the_table(
    make_client: MakeClient, database_url: str, tmp_path: Path
) -> None:
    client = await make_client(database=PATIENT, hashing={"deadline": 30})
    (await client.register("ada@example.com")).raise_for_status()
    now = "datetime('now', '-1 hour')" if database_url.startswith("sqlite") else "now() - interval '1 hour'"
    new_id = "lower(hex(randomblob(16)))" if database_url.startswith("sqlite") else "gen_random_uuid()"
    forged = json.dumps({"note": "\x1b[2J\n2026-01-01T00:00:00  login.succeeded"}).replace("'", "''")
    row = f"({now}, {new_id}, 'login.failed', '127.0.0.1', '{forged}')"
    await write_past_events(database_url, f"INSERT INTO audit_events (at, id, event, ip, details) VALUES {row}")
    (await client.login()).raise_for_status()
    printed = await command(database_url, tmp_path, "audit", DB_STATEMENT_TIMEOUT="30", DB_CONNECT_TIMEOUT="30")
    lines = printed.splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "login.succeeded", "account.registered", "signing_key.activated", "login.failed",
    ]  # fmt: skip
    assert lines[-1].endswith(r"  -  -  127.0.0.1  note=\x1b[2J\n2026-01-01T00:00:00  login.succeeded")
    assert "\x1b" not in printed


async def test_an_account_that_nobody_has_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db"
    await command(url, tmp_path, "migrate")
    for user, said in (("nobody@example.com", "Error: There is no such user.\n"), ("no-address", "Error: email: ")):
        done = await asyncio.to_thread(run_command, "audit", "--user", user, env=environment(url), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(said)
        assert done.stderr.count("\n") == 1
