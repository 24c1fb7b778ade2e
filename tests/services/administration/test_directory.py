"""Lists, searches and counts of users, and one user with their sessions, on every database."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session

from auth_service.models import REFRESH_TOKENS, USERS, User
from tests.conftest import MakeClient
from tests.support.admins import Admin, promote
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


@pytest.fixture
async def admin(make_client: MakeClient) -> Admin:
    return await Admin.of(await make_client(throttle={"enabled": False}))


async def register(admin: Admin, *names: str) -> list[str]:
    """Register these people one after the other, and return their ids."""
    answers = [await admin.client.register(f"{name}@example.com", username=name) for name in names]
    return [answer.raise_for_status().json()["id"] for answer in answers]


async def test_pages_and_cursors_lead_through_all_users_from_the_newest_on(admin: Admin) -> None:
    await register(admin, "a1", "b2", "c3", "d4")
    first = await admin.page(per_page=2)
    cursor = first.pop("next_cursor")
    assert [item["username"] for item in first.pop("items")] == ["d4", "c3"]
    assert first == {"total": 5, "total_is_estimate": False, "page": 1, "per_page": 2, "pages": 3}
    behind = await admin.page(per_page=2, cursor=cursor)
    assert behind["items"] == (await admin.page(per_page=2, page=2))["items"]
    assert (behind["total"], behind["page"], behind["pages"]) == (None, None, None)
    last = await admin.page(per_page=2, cursor=behind["next_cursor"])
    assert (len(last["items"]), last["next_cursor"]) == (1, None)
    beyond = await admin.page(per_page=2, page=10_000)
    assert (beyond["items"], beyond["total"], beyond["pages"], beyond["next_cursor"]) == ([], 5, 3, None)


async def test_somebody_who_registers_between_two_pages_moves_nobody_behind_a_cursor(admin: Admin) -> None:
    await register(admin, "a1", "b2", "c3")
    cursor = (await admin.page(per_page=2))["next_cursor"]
    await register(admin, "d4")
    assert await admin.emails(per_page=2, cursor=cursor) == ["a1@example.com", "root@example.com"]


async def test_a_fragment_finds_addresses_and_usernames_in_any_case_and_means_itself(admin: Admin) -> None:
    await register(admin, "straSSe", "under_score", "underXscore", "percent")
    for fragment, found in {
        "STRASSE": ["straSSe"], "aße@": ["straSSe"], "SCORE@exam": ["underXscore", "under_score"],
        "er_sc": ["under_score"], "er%sc": [], "e_c": [], "%%%": [], "___": [], "\\\\_": [], "/_s": [], "nobody": [],
        "under_score@ex": ["under_score"], "r_score": ["under_score"], "erXSCORE@example": ["underXscore"],
        "undore": [], "und%ore": [], "under_ore": [], "underscore": [], "%score": [],
        "@example.com": ["percent", "underXscore", "under_score", "straSSe", "root"],
    }.items():  # fmt: skip
        assert await admin.emails(q=fragment) == [f"{name}@example.com" for name in found], fragment


async def test_a_search_finds_what_the_list_shows_whatever_form_is_stored(admin: Admin) -> None:
    shown = ["ada@b\u00fccher.example", "bob@bu\u0308cher.example", "cleo@B\u00dcCHER.example"]
    books = [*shown, "dan@xn--bcher-kva.example"]
    others = ["\u00e9va@example.com", "wei\u00df@example.com", "fred@fa\u00df.example", "gus@\u4f8b\u5b50.example"]
    for email in (*books, *others):
        (await admin.client.register(email)).raise_for_status()
    (await admin.client.register("hal@example.com", username="Wei\u00df")).raise_for_status()
    eva, weiss, fred, gus = others
    for query, found in {
        "b\u00fccher": books, "B\u00dcCHER": books, "bu\u0308cher": books, "xn--bcher": books, "b\u00fccher.ex": books,
        "@b\u00fccher": books, "ada@b\u00fccher.example": shown[:1], "ada@b\u00fcch": shown[:1],
        "da@b\u00fcc": shown[:1],
        "cher.exa": shown, "b\u00fcch": shown, "B\u00dcC": shown, "\u00fcche": shown,
        "\u00e9va": [eva], "E\u0301VA": [eva], "fa\u00df": [fred], "a\u00df.e": [fred],
        "\u4f8b\u5b50.": [gus], "wei\u00df": [weiss, "hal@example.com"], "weiss": ["hal@example.com"],
    }.items():  # fmt: skip
        assert sorted(await admin.emails(q=query)) == sorted(found), query


async def test_all_conditions_of_a_search_must_hold(admin: Admin) -> None:
    one, other, _ = await register(admin, "alice1", "alice2", "bob")
    await promote(admin.client, one)
    (await admin.call("POST", f"/{other}/disable")).raise_for_status()
    created = (await admin.show(other))["created_at"]
    for query, found in (
        ({"q": "alice"}, ["alice2", "alice1"]),
        ({"q": "alice", "role": "admin"}, ["alice1"]),
        ({"q": "alice", "is_active": False}, ["alice2"]),
        ({"q": "alice", "is_verified": True}, []),
        ({"q": "alice", "created_from": created}, ["alice2"]),
        ({"q": "alice", "created_to": created}, ["alice1"]),
        ({"role": "admin", "created_from": created}, []),
        ({"created_from": created, "is_active": True}, ["bob"]),
    ):
        assert await admin.emails(**query) == [f"{name}@example.com" for name in found], query


@on_a_lasting_database
async def test_whoever_came_in_with_a_role_of_another_system_is_found_by_it(admin: Admin, database_url: str) -> None:
    alice, _ = await register(admin, "alice", "bob")
    await run_sql(database_url, "UPDATE users SET role = 'editor' WHERE username = 'alice'")
    assert await admin.emails(role="editor") == ["alice@example.com"]
    assert (await admin.show(alice))["role"] == "editor"


async def test_somebody_is_found_by_the_whole_address_or_the_whole_username(admin: Admin) -> None:
    await register(admin, "alice", "alice2")
    assert await admin.emails(name="ALICE") == await admin.emails(name=" Alice@EXAMPLE.com") == ["alice@example.com"]
    assert await admin.emails(name="alic") == []
    refused = await admin.call("GET", params={"name": "a b"})
    assert_problem(refused, 422, "validation-error")
    assert [error["field"] for error in refused.json()["errors"]] == ["name"]


async def test_counts_are_of_each_kind(admin: Admin) -> None:
    one, _, _ = await register(admin, "alice", "bob", "carol")
    await admin.client.sign_in("bob@example.com")
    (await admin.call("POST", f"/{one}/disable")).raise_for_status()
    assert (await admin.call("GET", "/counts")).json() == {
        "active": 3, "disabled": 1, "unverified": 4, "recently_seen": 2, "total": 4, "estimated": [],
    }  # fmt: skip


@on_a_lasting_database
async def test_who_signed_in_longer_ago_than_a_session_can_last_was_not_seen_recently(
    admin: Admin, database_url: str
) -> None:
    (someone,) = await register(admin, "alice")
    long_ago = "'2020-01-01 00:00:00.000000'" if "sqlite" in database_url else "now() - interval '31 days'"
    await run_sql(database_url, f"UPDATE users SET last_login_at = {long_ago} WHERE username = 'alice'")
    assert (await admin.call("GET", "/counts")).json()["recently_seen"] == 1
    assert (await admin.show(someone))["last_login_at"] is not None


async def test_one_user_is_shown_with_the_sessions_that_live_and_on_request_with_those_that_ended(
    admin: Admin,
) -> None:
    (someone,) = await register(admin, "alice")
    ended, alive = [await admin.client.sign_in("alice@example.com") for _ in range(2)]
    await admin.client.logout(ended["refresh_token"])
    shown = await admin.show(someone)
    assert shown["email"] == "alice@example.com"
    assert [session["id"] for session in shown["sessions"]] == [alive["session_id"]]
    both = (await admin.show(someone, ended=True))["sessions"]
    assert [(session["id"], session["ended_reason"]) for session in both] == [
        (alive["session_id"], None),
        (ended["session_id"], "logout"),
    ]
    assert_problem(await admin.call("GET", f"/{uuid4()}"), 404, "not-found")


@on_sqlite
async def test_what_a_user_has_of_sessions_is_read_by_one_statement_however_many_they_are(admin: Admin) -> None:
    (someone,) = await register(admin, "alice")
    taken: list[str] = []

    def note(*arguments: Any) -> None:
        follows = (
            "refresh_tokens.revoked_at >" in arguments[2]
        )  # the news about ended sessions, which come by the clock
        if arguments[2].startswith("SELECT") and "refresh_tokens" in arguments[2] and not follows:
            taken.append(arguments[2])

    counted = []
    event.listen(Engine, "before_cursor_execute", note)
    try:
        for sessions in (0, 1, 4):
            for _ in range(sessions):
                await admin.client.sign_in("alice@example.com")
            taken.clear()
            await admin.show(someone)
            counted.append(len([sql for sql in taken if "LEFT OUTER JOIN" in sql]))
            assert len(taken) == 2  # the look at the administrator's own session, and the user with theirs
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert counted == [1, 1, 1]


def test_sessions_that_nobody_asked_for_cannot_be_loaded_later() -> None:
    engine = create_engine("sqlite://")
    USERS.metadata.create_all(engine, [USERS, REFRESH_TOKENS])
    now = datetime.now(UTC)
    with Session(engine) as session:
        session.add(User(email="a", email_canonical="a", hashed_password="!", created_at=now, updated_at=now))
        session.commit()
        (user,) = session.scalars(select(User))
        with pytest.raises(InvalidRequestError, match="raise"):
            _ = user.sessions
    engine.dispose()
