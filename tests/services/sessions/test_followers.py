"""A thief with a copied refresh token and access token who stays one step behind its owner, on every database."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from auth_service.models import MOST_ROTATIONS, AuditEvent
from auth_service.repositories.audit.trail import AuditFilter
from tests.conftest import MakeClient
from tests.support.admins import Admin
from tests.support.client import Client
from tests.support.endings import assert_dead
from tests.support.outbox import services_of
from tests.support.stored_session import StoredSession

BEHIND = {"trusted": ("127.0.0.0/8",)}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}) Gecko/20100101 Firefox/{0}"
OWNER = {"User-Agent": BROWSER.format("140.0"), "X-Forwarded-For": "198.51.100.7"}
NEW_LEASE = {"User-Agent": BROWSER.format("141.0.2"), "X-Forwarded-For": "198.51.100.200"}  # updated meanwhile, too
ON_THE_MOVE = {**OWNER, "X-Forwarded-For": "192.0.2.1"}
OTHER_APP = {**OWNER, "User-Agent": "Example/2.0 (Android)"}
NAMELESS = {"X-Forwarded-For": "203.0.113.66", "User-Agent": ""}
THIEF = {"User-Agent": "python-requests/2.32", "X-Forwarded-For": "203.0.113.66"}


@pytest.fixture
async def home(make_client: MakeClient) -> Client:
    """The service behind a gateway, with the account ada@example.com."""
    return await open_home(make_client)


async def open_home(make_client: MakeClient) -> Client:
    client = await make_client(proxy=BEHIND)
    (await client.register("ada@example.com")).raise_for_status()
    return client


async def sign_in(client: Client) -> dict[str, Any]:
    tokens: dict[str, Any] = (await client.login(headers=OWNER)).raise_for_status().json()
    return tokens


async def rotate(client: Client, tokens: dict[str, Any], key: str | None = None) -> dict[str, Any]:
    """A refresh by the owner."""
    rotated: dict[str, Any] = (await client.refresh(tokens["refresh_token"], key, OWNER)).raise_for_status().json()
    return rotated


async def told(client: Client, event: str) -> list[AuditEvent]:
    """What the trail has of one kind of event, the oldest first."""
    async with services_of(client).gauges.database.statement() as tx:
        return [row for row in (await tx.audit_trail.find_events(AuditFilter(), 100))[::-1] if row.event == event]


async def within_one_hour(attempt: Callable[[], Awaitable[None]]) -> None:
    """Do something while the hour of the clock does not change, which it hardly ever does: then do it again."""
    began = None
    while began != datetime.now(UTC).hour:
        began = datetime.now(UTC).hour
        await attempt()


async def test_a_follower_who_polls_all_that_a_bearer_reads_does_not_see_a_rotation(home: Client) -> None:
    tokens = await sign_in(home)
    session = StoredSession(home, tokens)
    bearer = ""

    async def look() -> list[Any]:
        export = (await home.export(bearer)).json()
        events = [event for event in export["events"] if event["event"] != "account.exported"]
        lists = [await home.sessions(bearer), await home.sessions(bearer, ended=True)]
        return [lists, (await home.me(bearer)).json(), export["account"], export["sessions"], events]

    async def follow() -> None:
        nonlocal tokens, bearer
        await session.time_passes(hours=3, minutes=5)
        # An export wants a recent sign-in, so this follower even knows the password.
        bearer = (await home.step_up(tokens["access_token"])).raise_for_status().json()["access_token"]
        before = await look()
        used_at = (await session.row())["last_used_at"]
        for where in (OWNER, ON_THE_MOVE, THIEF):
            tokens = (await home.refresh(tokens["refresh_token"], headers=where)).raise_for_status().json()
            assert await look() == before
        assert before[0][0][0]["last_used_at"] == f"{used_at:%Y-%m-%dT%H:00:00Z}"
        (session_told,) = before[3]
        assert (session_told["ip"], session_told["user_agent"]) == (OWNER["X-Forwarded-For"], OWNER["User-Agent"])

    await within_one_hour(follow)


async def test_on_the_hour_the_list_tells_the_hour_of_the_last_use_and_no_more(home: Client) -> None:
    tokens = await sign_in(home)
    session = StoredSession(home, tokens)
    (fresh,) = await home.sessions(tokens["access_token"])
    assert fresh["last_used_at"][14:] == "00:00Z"
    head = await rotate(home, tokens)
    await session.time_passes(hours=1)
    (item,) = await home.sessions(head["access_token"])
    used_at = (await session.row())["last_used_at"]
    assert item["last_used_at"] == f"{used_at:%Y-%m-%dT%H:00:00Z}"


async def test_the_idle_life_is_judged_to_the_second_all_the_same(make_client: MakeClient) -> None:
    client = await make_client(tokens={"refresh_idle_lifetime": 3600})
    (await client.register("ada@example.com")).raise_for_status()
    for seconds, status in ((3590, 200), (3601, 401)):
        tokens = await client.rotate((await client.sign_in())["refresh_token"])
        await StoredSession(client, tokens).time_passes(seconds=seconds)
        assert (await client.refresh(tokens["refresh_token"])).status_code == status


async def test_a_follower_within_the_grace_from_another_network_and_device_is_caught(home: Client) -> None:
    stolen = await sign_in(home)
    head = await rotate(home, stolen)
    answer = await home.refresh(stolen["refresh_token"], headers=THIEF)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-refresh-token")
    await assert_dead(home, head)
    assert (await StoredSession(home, head).row())["revoked_reason"] == "reuse"


async def test_an_owner_who_comes_within_the_grace_of_a_thief_ends_what_the_thief_has(home: Client) -> None:
    stolen = await sign_in(home)
    thiefs = (await home.refresh(stolen["refresh_token"], "the-thiefs", THIEF)).raise_for_status().json()
    assert (await home.refresh(stolen["refresh_token"], "the-owners", OWNER)).status_code == 401
    await assert_dead(home, thiefs)


async def test_an_owner_on_the_move_or_with_an_update_or_in_another_app_is_answered_and_told_of_once_a_rotation(
    home: Client,
) -> None:
    tokens = await sign_in(home)
    for where, events in ((OWNER, 0), (NEW_LEASE, 0), (ON_THE_MOVE, 1), (OTHER_APP, 2), (NAMELESS, 3)):
        head = await rotate(home, tokens)
        session = StoredSession(home, head)
        before = await session.row()
        for _ in range(2):
            again = (await home.refresh(tokens["refresh_token"], headers=where)).raise_for_status().json()
            assert again["refresh_token"] == head["refresh_token"]
        assert len(await told(home, "refresh.replayed")) == events, where
        after = await session.row()
        changed = {"told_generation": after["told_generation"]}
        assert after == before | (changed if where not in (OWNER, NEW_LEASE) else {}), "nothing else of the row"
        tokens = head
    (moved, *_) = await told(home, "refresh.replayed")
    assert (moved.ip, moved.user_agent) == (ON_THE_MOVE["X-Forwarded-For"], OWNER["User-Agent"])
    assert moved.details == {"rotated_ip": OWNER["X-Forwarded-For"], "rotated_user_agent": OWNER["User-Agent"]}
    assert str(moved.session_id) == head["session_id"]
    export = (await home.export(head["access_token"])).json()
    assert "refresh.replayed" not in str(export), "it tells when the session was rotated"


async def test_replays_from_elsewhere_leave_ten_events_a_day_at_most(home: Client) -> None:
    tokens = await sign_in(home)
    for _ in range(12):
        spent, tokens = tokens, await rotate(home, tokens)
        for _ in range(2):
            (await home.refresh(spent["refresh_token"], headers=ON_THE_MOVE)).raise_for_status()
    assert len(await told(home, "refresh.replayed")) == 10
    other = await sign_in(home)
    await rotate(home, other)
    (await home.refresh(other["refresh_token"], headers=ON_THE_MOVE)).raise_for_status()
    assert len(await told(home, "refresh.replayed")) == 11, "of each session"


async def test_a_current_token_that_does_not_rotate_is_no_replay_wherever_it_comes_from(home: Client) -> None:
    """Any place may bring it; only a session that was rotated too often is not rotated by that."""
    tokens = await rotate(home, await sign_in(home))
    session = StoredSession(home, tokens)
    await session.change(rotations=[datetime.now(UTC)] * MOST_ROTATIONS)
    before = await session.row()
    answer = (await home.refresh(tokens["refresh_token"], headers=THIEF)).raise_for_status().json()
    assert answer["refresh_token"] == tokens["refresh_token"]
    assert await session.row() == before
    assert await told(home, "refresh.replayed") == []


async def test_the_key_of_the_rotation_excuses_a_retry_from_anywhere_and_no_other_key_does(home: Client) -> None:
    for sent, brought, status in (
        (("mine",), "mine", 200),
        (("mine",), "another", 401),
        (("mine",), None, 401),
        ((None,), "mine", 401),
        (("mine", None), "mine", 401),
        (("constant", "constant"), "constant", 401),
    ):
        tokens = await sign_in(home)
        for key in sent:
            spent, tokens = tokens, await rotate(home, tokens, key)
        answer = await home.refresh(spent["refresh_token"], brought, THIEF)
        assert answer.status_code == status, (sent, brought)
        if status == 200:
            assert answer.json()["refresh_token"] == tokens["refresh_token"]
        else:
            await assert_dead(home, tokens)


async def test_what_an_older_service_rotated_is_not_taken_for_a_rotation_from_where_the_one_before_came(
    home: Client,
) -> None:
    """While replicas are replaced: the older one writes neither network nor device, nor which rotation they are of."""
    tokens = (await home.refresh((await sign_in(home))["refresh_token"], headers=THIEF)).raise_for_status().json()
    session = StoredSession(home, tokens)
    names = ("rotated_to", "rotated_ip", "rotated_user_agent")
    described = {name: (await session.row())[name] for name in names}
    head = await rotate(home, tokens)
    await session.change(**described)
    again = (await home.refresh(tokens["refresh_token"], headers=OWNER)).raise_for_status().json()
    assert again["refresh_token"] == head["refresh_token"]
    assert not await told(home, "refresh.replayed")


async def test_many_replays_at_once_leave_one_event(home: Client) -> None:
    spent = await sign_in(home)
    head = await rotate(home, spent)
    answers = await asyncio.gather(*(home.refresh(spent["refresh_token"], headers=ON_THE_MOVE) for _ in range(10)))
    assert {answer.json()["refresh_token"] for answer in answers} == {head["refresh_token"]}
    assert len(await told(home, "refresh.replayed")) == 1


async def test_an_administrator_sees_the_last_use_exactly_and_where_it_was(home: Client) -> None:
    tokens = (await home.refresh((await sign_in(home))["refresh_token"], headers=ON_THE_MOVE)).raise_for_status().json()
    admin = await Admin.of(home)
    shown = await admin.show((await home.me(tokens["access_token"])).json()["id"])
    (item,) = shown["sessions"]
    row = await StoredSession(home, tokens).row()
    assert datetime.fromisoformat(item["last_used_at"]) == row["last_used_at"]
    assert (item["ip"], item["last_ip"]) == (OWNER["X-Forwarded-For"], ON_THE_MOVE["X-Forwarded-For"])
    assert item["last_user_agent"] == OWNER["User-Agent"]


async def test_a_thief_who_refreshes_first_is_named_when_the_owner_comes_after_the_grace(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither is called the thief: the trail and the log tell who rotated last, and who came with the spent token."""
    home = await open_home(make_client)
    stolen = await sign_in(home)
    thiefs = (await home.refresh(stolen["refresh_token"], headers=THIEF)).raise_for_status().json()
    await StoredSession(home, thiefs).time_passes(seconds=35)
    assert (await home.refresh(stolen["refresh_token"], headers=OWNER)).status_code == 401
    await assert_dead(home, thiefs)
    (event,) = await told(home, "session.ended")
    assert (event.ip, event.user_agent) == (OWNER["X-Forwarded-For"], OWNER["User-Agent"])
    rotated = {"rotated_ip": THIEF["X-Forwarded-For"], "rotated_user_agent": THIEF["User-Agent"]}
    assert event.details == {"reason": "reuse", "behind": 1, **rotated}
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"session.ended"' in line]
    assert (line["ip"], line["rotated_ip"]) == (OWNER["X-Forwarded-For"], THIEF["X-Forwarded-For"])
    assert line["rotated_user_agent"] == THIEF["User-Agent"]
    own = (await home.export((await sign_in(home))["access_token"])).json()["events"]
    (ended,) = [one for one in own if one["event"] == "session.ended"]
    assert ended["details"] == event.details, "the owner may know: the session is over"
