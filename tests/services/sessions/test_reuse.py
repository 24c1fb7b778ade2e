"""A refresh token that was spent already, on every database: a retry is answered, a theft ends the session."""

from datetime import UTC, datetime
from typing import Any

from auth_service.models import FAST_FORWARD_LIMIT, MOST_ROTATIONS
from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.endings import assert_dead
from tests.support.stored_session import StoredSession


async def chain(client: Client, rotations: int) -> list[dict[str, Any]]:
    """Sign in and refresh so many times; return the answers, the last being the head."""
    answers = [await client.sign_in()]
    for _ in range(rotations):
        answers.append(await client.rotate(answers[-1]["refresh_token"]))
    return answers


async def assert_reuse(client: Client, spent: dict[str, Any], head: dict[str, Any], key: str | None = None) -> None:
    """Presenting a spent token is a 401, and the head of its session is dead from then on."""
    answer = await client.refresh(spent["refresh_token"], key)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-refresh-token")
    await assert_dead(client, head)
    await assert_dead(client, spent)
    row = await StoredSession(client, head).row()
    assert row["revoked_reason"] == "reuse"
    assert row["revoked_at"] is not None


async def assert_head(client: Client, tokens: dict[str, Any], head: dict[str, Any], **more: Any) -> None:
    """Presenting a spent token gives the current one, once more."""
    answer = await client.refresh(tokens["refresh_token"], **more)
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] == head["refresh_token"]
    assert answer.json()["session_id"] == head["session_id"]
    assert (await client.me(answer.json()["access_token"])).status_code == 200


async def test_a_spent_token_gets_the_current_one_again_within_the_grace(ada: Client) -> None:
    parent, head = await chain(ada, 1)
    session = StoredSession(ada, head)
    before = await session.row()
    for _ in range(3):
        await assert_head(ada, parent, head)
    assert await session.row() == before, "a repeated answer writes nothing"
    await session.time_passes(seconds=20)
    await assert_head(ada, parent, head)
    await ada.rotate(head["refresh_token"])


async def test_every_ancestor_gets_the_current_token_within_the_grace(ada: Client) -> None:
    *ancestors, head = await chain(ada, 4)
    for ancestor in reversed(ancestors):
        await assert_head(ada, ancestor, head)
    await ada.rotate(head["refresh_token"])


async def test_a_token_spent_longer_than_the_grace_ago_ends_its_session_and_no_other(ada: Client) -> None:
    bystander = await ada.sign_in()
    parent, head = await chain(ada, 1)
    await StoredSession(ada, head).time_passes(seconds=30)
    await assert_reuse(ada, parent, head)
    assert (await ada.me(bystander["access_token"])).status_code == 200
    assert (await ada.refresh(bystander["refresh_token"])).status_code == 200


async def test_the_grace_of_each_ancestor_runs_by_itself(ada: Client) -> None:
    grandparent, parent = await chain(ada, 1)
    session = StoredSession(ada, parent)
    await session.time_passes(seconds=30)
    head = await ada.rotate(parent["refresh_token"])
    await assert_head(ada, parent, head)
    await assert_reuse(ada, grandparent, head)


async def test_a_thief_who_stays_one_step_behind_is_caught(ada: Client) -> None:
    stolen, head = await chain(ada, 1)
    session = StoredSession(ada, head)
    await assert_head(ada, stolen, head)
    await session.time_passes(seconds=29)
    await ada.refresh(stolen["refresh_token"])
    await session.time_passes(seconds=2)
    await assert_reuse(ada, stolen, head)


async def test_without_a_grace_a_second_use_is_a_reuse_at_once(make_client: MakeClient) -> None:
    client = await make_client(tokens={"refresh_grace": 0})
    await client.register("ada@example.com")
    parent, head = await chain(client, 1)
    await assert_reuse(client, parent, head)


async def test_without_a_grace_no_number_of_rotations_is_too_many(make_client: MakeClient) -> None:
    client = await make_client(tokens={"refresh_grace": 0})
    await client.register("ada@example.com")
    tokens = await client.rotate((await client.sign_in())["refresh_token"], times=70)
    row = await StoredSession(client, tokens).row()
    assert (row["generation"], len(row["rotations"])) == (70, 8)


async def rotated_too_often(client: Client, rotations: int) -> tuple[list[dict[str, Any]], StoredSession]:
    """A chain whose session looks as if it had been rotated as often within the grace as it may be."""
    answers = await chain(client, rotations)
    session = StoredSession(client, answers[-1])
    await session.change(rotations=[datetime.now(UTC)] * (MOST_ROTATIONS + FAST_FORWARD_LIMIT))
    return answers, session


async def test_a_clock_that_stepped_back_keeps_no_session_from_rotating(ada: Client) -> None:
    (tokens,), session = await rotated_too_often(ada, 0)
    await assert_head(ada, tokens, tokens)
    await session.time_passes(hours=-1)
    await ada.rotate(tokens["refresh_token"])
    assert (await session.row())["generation"] == 1


async def test_a_token_ahead_of_a_session_that_was_rotated_too_often_gets_the_current_one(ada: Client) -> None:
    """To make up for what a failover forgot would push out times that are within the grace."""
    answers, session = await rotated_too_often(ada, 3)
    await session.forget(FAST_FORWARD_LIMIT)
    assert len((await session.row())["rotations"]) == MOST_ROTATIONS
    await assert_head(ada, answers[3], answers[0])
    await session.time_passes(seconds=30)
    await ada.rotate(answers[3]["refresh_token"])
    assert (await session.row())["generation"] == 4


async def test_a_key_that_came_with_a_token_which_did_not_rotate_is_not_kept(ada: Client) -> None:
    (tokens,), session = await rotated_too_often(ada, 0)
    before = await session.row()
    for key in ("one", "another", None):
        await assert_head(ada, tokens, tokens, key=key)
    assert await session.row() == before
    await session.time_passes(seconds=30)
    head = (await ada.refresh(tokens["refresh_token"], "one")).raise_for_status().json()
    await session.time_passes(hours=23)
    await assert_head(ada, tokens, head, key="one")


async def test_an_ancestor_of_any_age_is_a_reuse(ada: Client) -> None:
    ancestor = tokens = await ada.sign_in()
    session = StoredSession(ada, tokens)
    for _ in range(20):
        await session.time_passes(hours=12)
        tokens = await ada.rotate(tokens["refresh_token"])
    await assert_reuse(ada, ancestor, tokens)


async def test_up_to_three_rotations_that_a_failover_forgot_are_made_up_for(ada: Client) -> None:
    for lost in (1, 2, 3):
        await assert_made_up_for(ada, lost)


async def assert_made_up_for(ada: Client, lost: int) -> None:
    """A session whose last rotations were forgotten goes on, and every token from before leads to its current one."""
    answers = await chain(ada, 4)
    session = StoredSession(ada, answers[-1])
    await session.forget(lost)
    head = await ada.rotate(answers[-1]["refresh_token"])
    assert (await session.row())["generation"] == 5
    for ancestor in answers:
        await assert_head(ada, ancestor, head)
    await ada.rotate(head["refresh_token"])
    await session.time_passes(seconds=30)
    await assert_reuse(ada, answers[-1 - lost], head)


async def test_a_token_that_is_further_ahead_than_a_failover_explains_is_refused_and_ends_nothing(ada: Client) -> None:
    answers = await chain(ada, 5)
    session = StoredSession(ada, answers[-1])
    await session.forget(4)
    assert (await ada.refresh(answers[-1]["refresh_token"])).status_code == 401
    assert (await session.row())["revoked_at"] is None
    await assert_head(ada, answers[0], answers[1])


async def test_a_retry_with_the_same_idempotency_key_is_answered_for_a_day(ada: Client) -> None:
    parent = await ada.sign_in()
    head = (await ada.refresh(parent["refresh_token"], "one-request")).json()
    session = StoredSession(ada, head)
    for hours in (1, 22):
        await session.time_passes(hours=hours)
        await assert_head(ada, parent, head, key="one-request")
    await session.time_passes(hours=1)
    await assert_reuse(ada, parent, head, "one-request")


async def test_another_idempotency_key_or_none_does_not_stretch_the_grace(ada: Client) -> None:
    for given, presented in (("a-key", "another-key"), ("a-key", None), (None, "a-key")):
        parent = await ada.sign_in()
        head = (await ada.refresh(parent["refresh_token"], given)).json()
        await assert_head(ada, parent, head, key=presented)
        await StoredSession(ada, head).time_passes(seconds=31)
        await assert_reuse(ada, parent, head, presented)


async def test_an_idempotency_key_serves_the_immediate_parent_alone(ada: Client) -> None:
    grandparent = await ada.sign_in()
    parent = (await ada.refresh(grandparent["refresh_token"], "one")).json()
    head = (await ada.refresh(parent["refresh_token"], "another")).json()
    await StoredSession(ada, head).time_passes(hours=1)
    await assert_head(ada, parent, head, key="another")
    await assert_reuse(ada, grandparent, head, "another")


async def test_a_constant_idempotency_key_gives_a_thief_no_day_one_step_behind(ada: Client) -> None:
    """With the next token the same key rotates, so that no page is refused for ever; then only the grace counts."""
    for keys in (
        ("constant", "constant"),
        ("constant", "constant", "constant"),
        ("constant", None, "constant"),
        ("constant", "another", "constant"),
        ("constant", *"abcdefg", "constant"),
    ):
        parent = tokens = await ada.sign_in()
        for key in keys:
            parent, tokens = tokens, (await ada.refresh(tokens["refresh_token"], key)).raise_for_status().json()
        await assert_head(ada, parent, tokens, key="constant")
        await StoredSession(ada, tokens).time_passes(seconds=31)
        await assert_reuse(ada, parent, tokens, "constant")


async def test_another_idempotency_key_is_good_again_after_one_that_came_twice(ada: Client) -> None:
    tokens = await ada.sign_in()
    for key in ("constant", "constant"):
        tokens = (await ada.refresh(tokens["refresh_token"], key)).raise_for_status().json()
    parent, head = tokens, (await ada.refresh(tokens["refresh_token"], "another")).json()
    await StoredSession(ada, head).time_passes(hours=23)
    await assert_head(ada, parent, head, key="another")


async def test_a_key_that_came_to_an_older_service_is_good_whatever_its_row_says_of_the_one_before(ada: Client) -> None:
    """While replicas are replaced: the older one writes neither the flag nor which rotation it is of."""
    tokens = await ada.sign_in()
    for key in ("constant", "constant"):
        tokens = (await ada.refresh(tokens["refresh_token"], key)).raise_for_status().json()
    session = StoredSession(ada, tokens)
    described = {name: (await session.row())[name] for name in ("rotated_to", "idempotency_spent")}
    assert described["idempotency_spent"]
    parent, head = tokens, (await ada.refresh(tokens["refresh_token"], "another")).json()
    await session.change(**described)
    await session.time_passes(hours=1)
    await assert_head(ada, parent, head, key="another")


async def test_an_idempotency_key_that_cannot_be_taken_is_a_422_and_spends_nothing(ada: Client) -> None:
    tokens = await ada.sign_in()
    before = await StoredSession(ada, tokens).row()
    body = {"refresh_token": tokens["refresh_token"]}
    for keys in ([b""], [b"two words"], [b"k" * 256], [b"caf\xc3\xa9"], [b"tab\there"], [b"one", b"two"]):
        answer = await ada.post("/auth/refresh", json=body, headers=[(b"idempotency-key", key) for key in keys])
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert await StoredSession(ada, tokens).row() == before
    assert (await ada.refresh(tokens["refresh_token"], "k" * 255)).status_code == 200
