"""Who was denied access is seen by whoever reads the log: from where, who, and why; and a flood is a line a minute."""

import json
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from auth_service import logs
from auth_service.api.http.middleware.denials import MOST_NAMED, Denials
from auth_service.api.http.middleware.heavy_hitters import MOST_COUNTED
from auth_service.errors import InsufficientRole, InvalidAccessToken
from auth_service.settings import LogSettings, ProxySettings
from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.forge import Forge, open_forge
from tests.support.logs import settled_log, talkative_server
from tests.support.polling import eventually
from tests.support.processes import events

INTERNAL = {"X-Internal-Token": "internal-token-of-the-tests"}
SOMEWHERE = {"X-Forwarded-For": "203.0.113.66"}
PROXIES = {"trusted": ["127.0.0.0/8"]}
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


def told(captured: pytest.CaptureFixture[str], name: str | None = None) -> list[dict[str, Any]]:
    """The lines of our own in the log since the last look, all or those of an event."""
    lines = (json.loads(line) for line in captured.readouterr().out.splitlines() if line.startswith("{"))
    return [line for line in lines if "logger" not in line and name in {None, line["event"]}]


async def guarded(make_client: MakeClient, **groups: Any) -> Client:
    log = LogSettings(level="debug", format="json")
    client = await make_client(internal_token=INTERNAL["X-Internal-Token"], proxy=PROXIES, log=log, **groups)
    client.headers.update(SOMEWHERE)
    await client.register("ada@example.com")
    return client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def forged_of(forge: Forge) -> str:
    """An administrator's token with the signature of another one."""
    return forge.signed(claims={"roles": ["admin"]}).rpartition(".")[0] + "." + forge.signed().rpartition(".")[2]


@on_a_lasting_database
async def test_no_forged_or_foreign_token_is_denied_unseen(
    make_client: MakeClient, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await guarded(make_client)
    tokens = await client.sign_in()
    forge = await open_forge(database_url, tokens["access_token"])
    ada = {"user_id": forge.claims["sub"]}
    attacks: dict[str, tuple[str, str, dict[str, str]]] = {
        "malformed": ("/internal/verify", "x" * 40, {}),
        "unknown-key": ("/auth/me", forge.signed(header={"kid": "mine"}), {}),
        "forged": ("/admin/users", forged_of(forge), {}),
        "foreign": ("/internal/verify", forge.signed(claims={"aud": "another"}), {}),
        "expired": ("/auth/sessions", forge.signed(claims={"exp": forge.claims["iat"] - 1}), ada),
        "ended": ("/admin/users", tokens["access_token"], ada),
    }
    await client.logout(tokens["refresh_token"])
    capsys.readouterr()
    for reason, (path, token, known) in attacks.items():
        answer = await client.get(path, headers=bearer(token) | INTERNAL)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid-access-token"), reason
        (event,) = told(capsys, "access.denied")
        expected = {"code": "invalid-access-token", "reason": reason, "ip": "203.0.113.66", "path": path, **known}
        assert expected.items() <= event.items()
        assert ("user_id" in event) == bool(known)
        assert event["request_id"] == answer.json()["request_id"]
        assert event["level"] == ("info" if reason in {"expired", "ended"} else "warning")


@on_a_lasting_database
async def test_nobody_tries_the_doors_of_others_unseen(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user at those of administrators and of a role, and a client of a gateway at internal ones."""
    client = await guarded(make_client)
    mine = bearer((await client.sign_in())["access_token"])
    (user_id,) = {(await client.get("/auth/me", headers=mine)).json()["id"]}
    wrong = {"X-Internal-Token": "another"}
    attempts: list[tuple[str, dict[str, str], str, str, bool]] = [
        ("/admin/users", mine, "insufficient-role", "role", True),
        ("/internal/revocations", wrong, "invalid-internal-token", "wrong", False),
        ("/metrics", {}, "invalid-internal-token", "missing", False),
        ("/admin/users/counts", {}, "missing-access-token", "missing", False),
    ]
    for path, headers, code, reason, is_known in attempts:
        capsys.readouterr()
        assert (await client.get(path, headers=headers)).json()["code"] == code
        (event,) = told(capsys, "access.denied")
        assert (event["code"], event["reason"], event["path"], event["ip"]) == (code, reason, path, "203.0.113.66")
        assert event.get("user_id") == (user_id if is_known else None)
        assert event["level"] == ("info" if code == "missing-access-token" else "warning")


@on_a_lasting_database
async def test_a_gateways_question_is_in_the_log_if_the_answer_is_no(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await guarded(make_client)
    mine = bearer((await client.sign_in())["access_token"]) | INTERNAL
    capsys.readouterr()
    assert (await client.get("/internal/verify", headers=mine)).status_code == 200
    assert told(capsys) == []
    assert (await client.get("/internal/verify?role=admin", headers=mine)).status_code == 403
    (event,) = told(capsys, "access.denied")
    assert (event["reason"], event["ip"]) == ("role", "203.0.113.66")
    assert event["user_id"]
    for headers, reason in (({}, "missing"), ({"X-Internal-Token": "another"}, "wrong")):
        assert (await client.get("/internal/verify", headers=headers)).status_code == 401
        assert [event["reason"] for event in told(capsys, "access.denied")] == [reason]


@on_a_lasting_database
async def test_a_forged_refresh_token_and_a_foreign_page_are_not_denied_unseen(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await guarded(make_client, cookies={"enabled": True}, public_url="https://auth.example")
    tokens = await client.sign_in()
    flipped = tokens["refresh_token"][:-2] + ("AA" if tokens["refresh_token"][-2:] != "AA" else "BA")
    capsys.readouterr()
    assert (await client.refresh(flipped)).status_code == 401
    from_afar = {"X-Auth-Cookie": "1", "Origin": "https://evil.example"}
    assert (await client.post("/auth/refresh", json={}, headers=from_afar)).status_code == 403
    await client.logout(tokens["refresh_token"])
    assert (await client.refresh(tokens["refresh_token"])).status_code == 401
    found = [(event["code"], event["reason"], "user_id" in event) for event in told(capsys, "access.denied")]
    assert found == [
        ("invalid-refresh-token", "forged", False),
        ("cross-site-request", "origin", False),
        ("invalid-refresh-token", "ended", True),
    ]


async def test_a_flood_of_denials_is_a_line_and_a_number_however_many_addresses_it_comes_from(tmp_path: Path) -> None:
    more = {"AUTH_PROXY__TRUSTED": "127.0.0.0/8", "DB_ECHO": "false", "AUTH_LOG__LEVEL": "info"}
    async with talkative_server("sqlite+aiosqlite://", tmp_path, **more) as (server, client):
        for number in range(200):
            headers = bearer(f"{number:040}") | {"X-Forwarded-For": f"203.0.113.{number}"}
            assert (await client.get("/internal/verify", headers=headers)).status_code == 401
        await settled_log(server, client)
        (first,) = events(server.log(), "access.denied")
        assert (first["ip"], first["reason"]) == ("203.0.113.0", "malformed")
        assert server.terminate() == 0
        _, rest = events(server.log(), "access.denied")
    assert (rest["count"], rest["reason"], rest["paths"]) == (199, "malformed", {"/internal/verify": 199})
    assert len(rest["addresses"]) == MOST_NAMED
    assert sum(rest["addresses"].values()) + rest["other_addresses"] == 199
    assert "request_id" not in rest


@pytest.mark.parametrize("decoys", [20, 60, 5000])
async def test_decoys_do_not_hide_who_is_denied_most(decoys: int) -> None:
    """They come first, and between: each twice, from an address of its own and as another user."""
    denials, written = Denials(ProxySettings(), minute=60), StringIO()
    logs.configure(LogSettings(format="json"), written)

    def deny(address: str, user_id: UUID) -> None:
        denials.record(InvalidAccessToken(user_id=user_id), {"headers": [], "client": (address, 1)})

    addresses, attacker, victim = [f"10.0.{n // 256}.{n % 256}" for n in range(decoys)], "192.0.2.1", uuid4()
    deny(attacker, victim)  # has a line of its own
    for number, decoy in enumerate(addresses * 2):
        deny(decoy, uuid4())
        if number >= decoys:
            deny(attacker, victim)
    denials.close()
    line = json.loads(written.getvalue().splitlines()[-1])
    assert line["count"] == 3 * decoys
    assert max(len(line["addresses"]), len(line["users"])) <= MOST_NAMED
    assert sum(line["addresses"].values()) + line["other_addresses"] == line["count"]
    for counts, name in ((line["addresses"], attacker), (line["users"], str(victim))):
        assert next(iter(counts)) == name
        assert decoys - line["count"] / MOST_COUNTED <= counts[name] <= decoys


async def test_each_minute_of_an_attack_has_its_line_and_the_next_attack_is_told_of_at_once() -> None:
    """The line of a minute is of no request."""
    denials, written = Denials(ProxySettings(), minute=0.2), StringIO()
    scope = {"headers": [], "client": ("192.0.2.1", 1)}
    logs.configure(LogSettings(format="json"), written)
    logs.REQUEST_ID.set("mine")

    async def is_quiet() -> bool:
        return not denials.is_counting

    denials.record(InvalidAccessToken(), scope)
    denials.record(InsufficientRole(), scope)
    for _ in range(3):
        denials.record(InvalidAccessToken(), scope)
    await eventually(is_quiet)
    denials.record(InvalidAccessToken(), scope)
    denials.close()
    lines = map(json.loads, written.getvalue().splitlines())
    assert [(line["code"], line.get("count"), line.get("request_id")) for line in lines] == [
        ("invalid-access-token", None, "mine"),
        ("insufficient-role", None, "mine"),
        ("invalid-access-token", 3, None),
        ("invalid-access-token", None, "mine"),
    ]


@on_a_lasting_database
@pytest.mark.parametrize(("trusted", "ip"), [(["127.0.0.0/8"], "203.0.113.66"), ([], "127.0.0.1")])
async def test_the_line_of_a_request_says_from_where_it_came_and_who_it_was(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str], trusted: list[str], ip: str
) -> None:
    """By the address of a trusted proxy alone: everybody can send the header."""
    log = LogSettings(level="debug", format="json")
    client = await make_client(proxy={"trusted": trusted}, log=log)
    client.headers.update({"X-Forwarded-For": "198.51.100.1, 203.0.113.66"})
    user_id = (await client.register("ada@example.com")).json()["id"]
    tokens = await client.sign_in()
    await client.refresh(tokens["refresh_token"])
    await client.get("/auth/me", headers=bearer(tokens["access_token"]))
    await client.get("/auth/sessions", headers=bearer(tokens["access_token"]))
    await client.get("/nowhere", headers={"X-Forwarded-For": "203.0.113.67"})  # a route would know its client
    *lines, nowhere = told(capsys, "request")
    assert {line["ip"] for line in lines if not line["path"].startswith("/health/")} == {ip}
    assert nowhere["ip"] == ("203.0.113.67" if trusted else ip)
    found = {line["path"]: line.get("user_id") for line in [*lines, nowhere]}
    known = ("/auth/login", "/auth/refresh", "/auth/me", "/auth/sessions")
    assert {path: found[path] for path in known} == dict.fromkeys(known, user_id)
    assert found["(unknown)"] is None
    assert not any(tokens[name] in json.dumps(lines) for name in ("access_token", "refresh_token"))
