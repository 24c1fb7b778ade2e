"""Two tabs of one browser, on every database: neither signs the other out, and a copy that is used later is caught."""

from typing import Any

import pytest

from auth_service.models import MOST_ROTATIONS
from tests.support.client import Client
from tests.support.endings import assert_dead
from tests.support.stored_session import StoredSession

CYCLES = 12  # of five minutes, which is how long an access token lives: an hour


async def test_a_second_tab_that_is_two_steps_behind_within_the_grace_signs_nobody_out(ada: Client) -> None:
    """Answering with the direct successor gives the second tab a token that is spent, and soon a theft."""
    first = await ada.sign_in()
    second = await ada.rotate(first["refresh_token"])
    third = await ada.rotate(second["refresh_token"])
    session = StoredSession(ada, third)
    before = await session.row()
    late = (await ada.refresh(first["refresh_token"])).raise_for_status().json()
    also_late = (await ada.refresh(second["refresh_token"])).raise_for_status().json()
    assert late["refresh_token"] == also_late["refresh_token"] == third["refresh_token"]
    assert await session.row() == before, "the row is not touched"
    await session.time_passes(minutes=5)
    await ada.rotate(late["refresh_token"])
    await ada.rotate(third["refresh_token"])


async def test_two_tabs_that_share_one_store_are_not_signed_out_in_an_hour(ada: Client) -> None:
    store = await ada.sign_in()
    session = StoredSession(ada, store)
    for _ in range(CYCLES):
        await session.time_passes(minutes=5)
        read_by_the_other = store
        store = await ada.rotate(store["refresh_token"], times=2)
        store = await ada.rotate(read_by_the_other["refresh_token"])  # what comes last stays in the store
    assert (await session.row())["revoked_at"] is None


async def test_two_tabs_with_memories_of_their_own_are_not_signed_out_in_an_hour_within_the_grace(ada: Client) -> None:
    """Each at its own pace: the first refreshes once or several times, the second 20 seconds later."""
    one = other = await ada.sign_in()
    session = StoredSession(ada, one)
    for cycle in range(CYCLES):
        await session.time_passes(minutes=4)
        one = await ada.rotate(one["refresh_token"], times=1 + cycle % 3)
        await session.time_passes(seconds=20)
        other = await ada.rotate(other["refresh_token"])
        assert other["refresh_token"] == one["refresh_token"]
        one, other = other, one
    await assert_a_later_copy_is_caught(ada, session, one)


@pytest.mark.parametrize("reloads", [9, 80])
async def test_a_tab_that_is_reloaded_often_within_the_grace_signs_no_other_tab_out(ada: Client, reloads: int) -> None:
    """No time that is within the grace is dropped: up to 60 are kept, and what is more does not rotate."""
    held = [await ada.sign_in()]
    session = StoredSession(ada, held[0])
    for _ in range(reloads):
        held.append(await ada.rotate(held[-1]["refresh_token"]))
    head, before = held[-1], await session.row()
    assert before["generation"] == len(before["rotations"]) == min(reloads, MOST_ROTATIONS)
    for spent in (*held[:9], *held[-10:-1]):
        again = await ada.rotate(spent["refresh_token"])
        assert again["refresh_token"] == head["refresh_token"]
        assert (await ada.me(again["access_token"])).status_code == 200
    assert await session.row() == before, "the row is not touched"
    await session.time_passes(seconds=20)
    assert (await ada.rotate(held[0]["refresh_token"]))["refresh_token"] == head["refresh_token"]
    await session.time_passes(seconds=10)
    rotated = await ada.rotate(head["refresh_token"])
    assert rotated["refresh_token"] != head["refresh_token"]
    assert len((await session.row())["rotations"]) == 8, "the row is as small again as it was"


@pytest.mark.parametrize("reloads", [9, 80])
async def test_a_copy_that_is_used_after_the_grace_is_caught_also_after_many_quick_reloads(
    ada: Client, reloads: int
) -> None:
    copied = await ada.sign_in()
    head = await ada.rotate(copied["refresh_token"], times=reloads)
    session = StoredSession(ada, head)
    await session.time_passes(seconds=30)
    assert (await ada.refresh(copied["refresh_token"])).status_code == 401
    await assert_dead(ada, head)
    assert (await session.row())["revoked_reason"] == "reuse"


async def assert_a_later_copy_is_caught(ada: Client, session: StoredSession, copied: dict[str, Any]) -> None:
    """What the tabs are allowed is no way in for a thief who uses a copy after the grace."""
    head = await ada.rotate(copied["refresh_token"])
    await session.time_passes(seconds=30)
    assert (await ada.refresh(copied["refresh_token"])).status_code == 401
    await assert_dead(ada, head)
    assert (await session.row())["revoked_reason"] == "reuse"
