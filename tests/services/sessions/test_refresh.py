"""Sessions on every database: what a refresh gives, how long a session lives, and what a logout ends."""

import asyncio
from typing import Any

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.endings import assert_dead
from tests.support.forge import part
from tests.support.stored_session import StoredSession

DAY = 86_400


async def test_a_refresh_gives_new_tokens_of_the_same_session(ada: Client) -> None:
    first = await ada.sign_in()
    answer = await ada.refresh(first["refresh_token"])
    assert answer.headers["cache-control"] == "no-store"
    second = answer.json()
    third = await ada.rotate(second["refresh_token"])
    assert len({tokens["refresh_token"] for tokens in (first, second, third)}) == 3
    assert len({tokens["access_token"] for tokens in (first, second, third)}) == 3
    assert first["session_id"] == second["session_id"] == third["session_id"]
    assert (await ada.me(third["access_token"])).status_code == 200


async def test_refreshes_at_the_same_time_get_the_same_successor(ada: Client) -> None:
    token = (await ada.sign_in())["refresh_token"]
    answers = await asyncio.gather(*(ada.refresh(token) for _ in range(15)))
    assert [answer.status_code for answer in answers] == [200] * 15
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    await ada.rotate(successor)


async def test_a_session_ends_when_it_is_not_used_for_the_idle_lifetime(ada: Client) -> None:
    tokens = await ada.sign_in()
    session = StoredSession(ada, tokens)
    await session.time_passes(days=13, hours=23)
    tokens = await ada.rotate(tokens["refresh_token"])
    await session.time_passes(days=14)
    await assert_dead_by_age(ada, session, tokens)


async def test_a_session_ends_with_its_absolute_lifetime_however_often_it_is_refreshed(ada: Client) -> None:
    tokens = await ada.sign_in()
    session = StoredSession(ada, tokens)
    for _ in range(2):
        await session.time_passes(days=13)
        tokens = await ada.rotate(tokens["refresh_token"])
    await session.time_passes(days=3, hours=23)
    tokens = await ada.rotate(tokens["refresh_token"])
    await session.time_passes(hours=1)
    await assert_dead_by_age(ada, session, tokens)
    assert (await ada.me(tokens["access_token"])).status_code == 401


async def assert_dead_by_age(client: Client, session: StoredSession, tokens: dict[str, Any]) -> None:
    """A session that is too old is refused, and nobody is accused of a theft."""
    assert (await client.refresh(tokens["refresh_token"])).status_code == 401
    assert (await session.row())["revoked_reason"] is None


async def test_a_refresh_never_extends_the_absolute_lifetime(ada: Client) -> None:
    tokens = await ada.sign_in()
    session = StoredSession(ada, tokens)
    end = (await session.row())["expires_at"]
    await ada.rotate(tokens["refresh_token"], times=3)
    assert (await session.row())["expires_at"] == end


async def test_the_idle_lifetime_beats_the_grace(make_client: MakeClient) -> None:
    client = await make_client(tokens={"refresh_idle_lifetime": 20, "access_lifetime": 10})
    await assert_that_an_end_beats_the_grace(client, before=0, after=20)


async def test_the_absolute_lifetime_beats_the_grace(make_client: MakeClient) -> None:
    client = await make_client(
        tokens={"refresh_idle_lifetime": 60, "refresh_absolute_lifetime": 60, "access_lifetime": 10}
    )
    await assert_that_an_end_beats_the_grace(client, before=45, after=15)


async def assert_that_an_end_beats_the_grace(client: Client, before: float, after: float) -> None:
    """Spend a token `before` seconds after the login, and present it again `after` seconds later."""
    await client.register("ada@example.com")
    parent = await client.sign_in()
    session = StoredSession(client, parent)
    await session.time_passes(seconds=before)
    head = await client.rotate(parent["refresh_token"])
    assert (await client.refresh(parent["refresh_token"])).status_code == 200
    await session.time_passes(seconds=after)
    await assert_dead_by_age(client, session, parent)
    await assert_dead_by_age(client, session, head)


async def test_refresh_expires_in_is_the_sooner_end_of_idle_and_absolute_lifetime(ada: Client) -> None:
    tokens = await ada.sign_in()
    session = StoredSession(ada, tokens)
    assert 14 * DAY - 60 <= tokens["refresh_expires_in"] <= 14 * DAY
    await session.time_passes(days=10)
    parent, tokens = tokens, await ada.rotate(tokens["refresh_token"])
    assert 14 * DAY - 60 <= tokens["refresh_expires_in"] <= 14 * DAY
    await session.time_passes(seconds=20)
    again = (await ada.refresh(parent["refresh_token"])).json()
    assert 14 * DAY - 80 <= again["refresh_expires_in"] <= 14 * DAY - 20, "a repeated answer counts from the rotation"
    await session.time_passes(days=13)
    tokens = await ada.rotate(tokens["refresh_token"])
    assert 7 * DAY - 80 <= tokens["refresh_expires_in"] <= 7 * DAY - 20


async def test_a_session_of_a_disabled_user_is_refused_also_within_the_grace(ada: Client) -> None:
    parent = await ada.sign_in()
    head = await ada.rotate(parent["refresh_token"])
    await StoredSession(ada, parent).change_user(is_active=False)
    await assert_dead(ada, parent)
    await assert_dead(ada, head)


async def test_a_session_from_before_a_change_of_credentials_is_refused_also_within_the_grace(ada: Client) -> None:
    parent = await ada.sign_in()
    head = await ada.rotate(parent["refresh_token"])
    await StoredSession(ada, parent).change_user(credential_epoch=1)
    await assert_dead(ada, parent)
    await assert_dead(ada, head)
    assert (await ada.refresh((await ada.sign_in())["refresh_token"])).status_code == 200


async def test_a_session_is_judged_by_its_own_user_and_no_other(ada: Client) -> None:
    """Neither is refused for what the other is, nor gets the other's role."""
    (await ada.register("bob@example.com")).raise_for_status()
    adas, bobs = await ada.sign_in(), await ada.sign_in("bob@example.com")
    await StoredSession(ada, bobs).change_user(role="admin")
    adas, bobs = await ada.rotate(adas["refresh_token"]), await ada.rotate(bobs["refresh_token"])
    assert [part(tokens["access_token"], 1)["roles"] for tokens in (adas, bobs)] == [["user"], ["admin"]]
    await StoredSession(ada, bobs).change_user(is_active=False)
    await assert_dead(ada, bobs)
    assert (await ada.refresh(adas["refresh_token"])).status_code == 200


async def test_a_logout_with_the_newest_token_ends_the_session_and_no_other(ada: Client) -> None:
    other, parent = await ada.sign_in(), await ada.sign_in()
    head = await ada.rotate(parent["refresh_token"])
    await assert_logged_out(ada, head, parent, head)
    assert (await ada.refresh(other["refresh_token"])).status_code == 200
    assert (await ada.me(other["access_token"])).status_code == 200


async def test_a_logout_with_a_spent_token_ends_the_session_too(ada: Client) -> None:
    parent = await ada.sign_in()
    head = await ada.rotate(parent["refresh_token"])
    await StoredSession(ada, head).time_passes(days=2)
    await assert_logged_out(ada, parent, parent, head)


async def assert_logged_out(client: Client, by: dict[str, Any], *dead: dict[str, Any]) -> None:
    """A logout by these tokens is a 204 every time, and all the others are dead from the first on."""
    for _ in range(2):
        assert (await client.logout(by["refresh_token"])).status_code == 204
        assert (await StoredSession(client, by).row())["revoked_reason"] == "logout"
        for tokens in dead:
            await assert_dead(client, tokens)


async def test_a_logout_with_garbage_or_a_forged_token_is_the_same_204_and_ends_nothing(ada: Client) -> None:
    tokens = await ada.sign_in()
    token = tokens["refresh_token"]
    forged = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
    known = await ada.logout((await ada.sign_in())["refresh_token"])
    for worthless in ("garbage", "art_", "art_" + "A" * 75, forged, tokens["access_token"]):
        answer = await ada.logout(worthless)
        assert (answer.status_code, answer.content, set(answer.headers)) == (204, b"", set(known.headers))
    assert (await ada.refresh(token)).status_code == 200
    assert (await ada.me(tokens["access_token"])).status_code == 200


async def test_a_refresh_cannot_ask_for_more_than_the_session_has(ada: Client) -> None:
    token = (await ada.sign_in())["refresh_token"]
    for field in ("scope", "audience", "client_id", "role"):
        answer = await ada.post("/auth/refresh", json={"refresh_token": token, field: "admin"})
        assert answer.status_code == 422
