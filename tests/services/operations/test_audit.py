"""The security trail: one row and one line for each event, written with the change that they tell of, or not at all."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import SECRET, MakeClient
from tests.support.audit import command, read_audit
from tests.support.behind import behind_proxy
from tests.support.client import PASSWORD, Client
from tests.support.databases import on_postgresql
from tests.support.sql import run_sql

NEW = "another horse, another battery"
ON_DISK = ["sqlite-file", "postgresql"]
on_a_lasting_database = pytest.mark.parametrize("database_url", ON_DISK, indirect=True)
AGENT = {"User-Agent": "Browser/1 \u001b[31m".encode()}


async def make_every_event(client: Client, url: str, folder: Path) -> dict[str, str]:
    """Do all that the trail tells of; return the ids of the user and of the sessions."""
    await client.register("ada@example.com")
    await client.login("nobody@example.com")
    await client.login(password=NEW)
    login = await client.login(headers={**AGENT, "X-Request-ID": "the-login"})
    stolen, left, ended, mine = login.json(), *[await client.sign_in() for _ in range(3)]
    await client.rotate(stolen["refresh_token"], times=2)
    await client.refresh(stolen["refresh_token"])
    await client.logout(left["refresh_token"])
    await client.logout(left["refresh_token"])
    await client.end_session(mine["access_token"], ended["session_id"])
    await client.change_password(mine["access_token"], NEW, NEW)
    new = (await client.change_password(mine["access_token"], PASSWORD, NEW)).raise_for_status().json()
    for word in ("disable", "enable"):
        await command(url, folder, "users", word, "ada@example.com")
    sessions = {"stolen": stolen, "left": left, "ended": ended, "mine": mine, "new": new}
    ((user_id,),) = await run_sql(url, "SELECT id FROM users")
    return {"ada": str(UUID(str(user_id)))} | {name: tokens["session_id"] for name, tokens in sessions.items()}


@on_a_lasting_database
async def test_each_security_event_is_one_row_and_one_line_and_a_refresh_is_none(
    make_client: MakeClient, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await make_client(tokens={"refresh_grace": 0})
    ids = await make_every_event(client, database_url, tmp_path)
    rows = (await read_audit(database_url, tmp_path))[::-1]
    names = {value: name for name, value in ids.items()}

    def told(row: dict[str, Any], *fields: str) -> tuple[Any, ...]:
        details = " ".join(str(row.get(field) or row.get("details", {}).get(field) or "-") for field in fields)
        return row["event"], names.get(row["user_id"] or ""), details

    found = [told(row, "reason", "behind") for row in rows if row["user_id"] or row["event"] == "login.failed"]
    logins = [("login.succeeded", "ada", "- -")] * 4
    assert found == [
        ("account.registered", "ada", "- -"),
        ("login.failed", None, "- -"),
        ("login.failed", "ada", "- -"),
        *logins,
        ("session.ended", "ada", "reuse 2"),
        ("session.ended", "ada", "logout -"),
        ("session.ended", "ada", "logout -"),
        ("password.change_refused", "ada", "- -"),
        ("password.changed", "ada", "- -"),
        ("session.ended", "ada", "password_changed -"),
        ("session.opened", "ada", "password_changed -"),
        ("account.disabled", "ada", "- -"),
        ("session.ended", "ada", "user_disabled -"),
        ("account.enabled", "ada", "- -"),
    ]
    ended = [names[row["session_id"]] for row in rows if row["event"] == "session.ended"]
    assert ended == ["stolen", "left", "ended", "mine", "new"]
    (login,) = [row for row in rows if row["request_id"] == "the-login"]
    assert (login["ip"], login["user_agent"]) == ("127.0.0.1", "Browser/1 [31m")
    assert [row["event"] for row in rows if row["details"].get("actor", "").startswith("cli:")] == [
        "account.disabled", "session.ended", "account.enabled",
    ]  # fmt: skip
    assert all(UUID(row["id"]).version == 7 for row in rows)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    # What the commands logged went to their own standard error.
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = [line for line in lines if line["event"] in {row["event"] for row in rows}]
    served = [row for row in rows if not row["details"].get("actor", "").startswith("cli:")]
    assert [
        (line["event"], line.get("user_id"), line.get("sid"), line.get("ip"), line.get("reason")) for line in logged
    ] == [(row["event"], row["user_id"], row["session_id"], row["ip"], row["details"].get("reason")) for row in served]


@on_a_lasting_database
async def test_each_device_beyond_a_limit_that_is_lower_now_is_in_the_trail_as_evicted(
    make_client: MakeClient, database_url: str, tmp_path: Path
) -> None:
    before = await make_client()
    await before.register("ada@example.com")
    oldest = [(await before.sign_in())["session_id"] for _ in range(2)]
    await (await make_client(sessions={"max_per_user": 1})).sign_in()
    rows = await read_audit(database_url, tmp_path, "--event", "session.ended")
    assert {row["session_id"] for row in rows} == set(oldest)
    assert [row["details"] for row in rows] == [{"reason": "evicted"}] * 2
    assert len({row["id"] for row in rows}) == 2


@on_a_lasting_database
async def test_the_life_of_a_signing_key_is_in_the_trail_with_whoever_changed_it(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    assert (await client.get("/health/ready")).status_code == 200
    await command(database_url, tmp_path, "keys", "rotate")
    first, second = [kid for (kid,) in await run_sql(database_url, "SELECT kid FROM signing_keys ORDER BY created_at")]
    await command(database_url, tmp_path, "keys", "revoke", first)
    newer = "bmV3ZXIsIGFsc28gMzIgYnl0ZXMgb3IgbW9yZSwgYXMgYXNrZWQ"
    await command(database_url, tmp_path, "keys", "rewrap", AUTH_SECRET_KEY=f"{newer},{SECRET}")
    rows = [
        (row["event"], row["details"]["kid"], row["details"]["actor"].partition(":")[0])
        for row in await read_audit(database_url, tmp_path)
    ]
    assert rows[::-1] == [
        ("signing_key.activated", first, "service"),
        ("signing_key.published", second, "cli"),
        ("signing_key.revoked", first, "cli"),
        ("signing_key.activated", second, "cli"),
        ("signing_key.rewrapped", second, "cli"),
    ]


BROKEN, MENDED = "ALTER TABLE audit_events RENAME TO away", "ALTER TABLE away RENAME TO audit_events"


@on_a_lasting_database
async def test_what_cannot_be_written_down_does_not_happen(ada: Client, database_url: str) -> None:
    tokens = await ada.sign_in()
    await run_sql(database_url, BROKEN)
    answers = [
        await ada.login(),
        await ada.logout(tokens["refresh_token"]),
        await ada.change_password(tokens["access_token"], PASSWORD, NEW),
        await ada.register("grace@example.com"),
    ]
    assert [answer.status_code for answer in answers] == [503] * 4
    refreshed = await ada.rotate(tokens["refresh_token"])
    await run_sql(database_url, MENDED)
    assert (await ada.refresh(refreshed["refresh_token"])).status_code == 200
    assert (await ada.register("grace@example.com")).status_code == 201
    assert len(await ada.sessions(tokens["access_token"])) == 1, "the login that could not be told opened nothing"


@on_a_lasting_database
async def test_a_wrong_password_stays_a_401_when_it_cannot_be_written_down(
    make_client: MakeClient, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = await make_client()
    (await ada.register("ada@example.com")).raise_for_status()
    tokens = await ada.sign_in()
    await run_sql(database_url, BROKEN)
    answers = await ada.login(password=NEW), await ada.change_password(tokens["access_token"], NEW, NEW)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(401, "invalid-credentials")] * 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    missed = [(line["what"], line["level"]) for line in lines if line["event"] == "audit.not_written"]
    assert missed == [("login.failed", "warning"), ("password.change_refused", "warning")]
    await run_sql(database_url, MENDED)


@on_postgresql
async def test_a_login_takes_as_many_round_trips_as_without_a_trail(make_client: MakeClient, database_url: str) -> None:
    with behind_proxy(database_url) as (proxy, url):
        client = await make_client(url, database={"pool_pre_ping": False}, keys={"rotation_interval": 0})
        (await client.register("ada@example.com")).raise_for_status()
        await client.sign_in()
        costs = []
        for _ in range(10):
            proxy.reset_counters()
            await client.sign_in()
            costs.append(proxy.round_trips)
        assert min(costs) == 2  # find the account and reserve, open the session with all that goes with it
    ((logins,),) = await run_sql(database_url, "SELECT count(*) FROM audit_events WHERE event = 'login.succeeded'")
    assert logins == 11
