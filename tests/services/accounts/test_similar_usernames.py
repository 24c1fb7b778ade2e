"""Usernames that look alike: nobody takes one that looks like another's, if either has a letter outside ASCII."""

import asyncio
import string
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from auth_service.identifiers.skeletons import _prototypes, skeleton
from auth_service.repositories.users.skeletons import FIRST
from tests.conftest import PATIENT, MakeClient
from tests.support.accounts_files import lines, report
from tests.support.admins import Admin
from tests.support.client import Client
from tests.support.databases import on_postgresql
from tests.support.operator import Operator
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.skeletons import add_as_an_older_service, fill_skeletons
from tests.support.sql import run_sql

in_memory = pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)

ALIKE = {
    "Cyrillic a": ("admin", "\u0430dmin"),
    "all that can be Cyrillic": ("paypal", "\u0440\u0430\u0443\u0440\u0430l"),
    "Cyrillic, and then ASCII": ("\u0430dmin", "admin"),
    "two of other scripts": ("\u0430dmin", "\u03b1dmin"),
    "capitals": ("Admin", "\u0410DMIN"),
    "a capital that looks like ASCII, and its small letter does not": ("hello", "\u0397ello"),
    "a capital that looks like another small letter": ("igor", "\u0406gor"),
    "Greek omicron": ("root", "r\u03bfot"),
    "dotless i": ("admin", "adm\u0131n"),
    "dotted capital I": ("admin", "ADM\u0130N"),
    "a dot above that is there already": ("admin", "admi\u0307n"),
    "Cherokee": ("dan", "\u13a0an"),
    "rn and m, with a Cyrillic letter": ("admin", "\u0430drnin"),
    "l and 1, with a Cyrillic letter": ("paypa1", "p\u0430ypal"),
    "a digit of another script": ("o", "\u0966"),
    "sharp s and beta": ("Wei\u00df", "wei\u03b2"),
    "Arabic letters": ("\u0643\u0645\u0627\u0644", "\u06a9\u0645\u0627\u0644"),
    "a stretched Arabic word": ("\u0645\u062d\u0645\u062f", "\u0645\u0640\u062d\u0640\u0640\u0645\u062f"),
    "with a joiner": ("\u0639\u0644\u06cc\u0631\u0636\u0627", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
}
UNLIKE = {
    "ASCII alone: rn and m": ("admin", "adrnin"),
    "ASCII alone: l, 1 and I": ("paypal", "paypa1"),
    "ASCII alone: o and 0": ("root", "r0ot"),
    "an accent": ("muller", "m\u00fcller"),
    "another accent": ("m\u00fcller", "m\u0169ller"),
    "sharp s and a digit": ("we1ss", "Wei\u00df"),
    "a word of another script": ("ivan", "\u0438\u0432\u0430\u043d"),
    "small letters that differ where capitals do not": ("bop", "\u0432\u043e\u0440"),
    "a vowel sign": ("\u0915\u092e\u0932", "\u0915\u092e\u0932\u093e"),
}
Door = Callable[[Client, str], Coroutine[Any, Any, Any]]


async def register(client: Client, name: str | None, code: int = 201) -> str:
    answer = await client.register(f"{uuid4().hex}@example.com", username=name)
    assert answer.status_code == code, answer.text
    return str(answer.json().get("id"))


@in_memory
@pytest.mark.parametrize(("taken", "name"), ALIKE.values(), ids=ALIKE)
async def test_a_username_that_looks_like_anothers_is_taken_and_the_answer_says_no_more(
    client: Client, taken: str, name: str
) -> None:
    await register(client, taken)
    refused = await client.register("grace@example.com", username=name)
    assert_problem(refused, 409, "account-exists")
    same = await client.register("linus@example.com", username=taken)
    assert {**refused.json(), "request_id": ""} == {**same.json(), "request_id": ""}
    assert (await client.register("grace@example.com")).status_code == 201


@in_memory
@pytest.mark.parametrize(("taken", "name"), UNLIKE.values(), ids=UNLIKE)
async def test_a_username_that_another_does_not_look_like_or_that_is_ascii_like_it_is_free(
    client: Client, taken: str, name: str
) -> None:
    for order in ((taken, name), (f"{name}-x", f"{taken}-x")):
        for one in order:
            await register(client, one)


async def by_rename(client: Client, name: str) -> Any:
    await client.register("grace@example.com", username="grace")
    tokens = await client.sign_in("grace@example.com")
    return await client.rename(tokens["access_token"], name)


async def by_an_administrator(client: Client, name: str) -> Any:
    body = {"email": "grace@example.com", "username": name}
    return await (await Admin.of(client)).call("POST", json=body)


@in_memory
@pytest.mark.parametrize("door", [by_rename, by_an_administrator])
async def test_it_is_taken_whichever_way_it_is_asked_for(client: Client, door: Door) -> None:
    await register(client, "admin")
    assert_problem(await door(client, "\u0430dmin"), 409, "account-exists")


def test_it_is_taken_for_an_operator_and_an_import(tmp_path: Path) -> None:
    embedded = Operator(f"sqlite+aiosqlite:///{tmp_path}/auth.db", tmp_path)
    embedded.run("migrate")
    embedded.run("users", "create", "ada@example.com", "--username", "admin", "--no-password")
    create = ("users", "create", "x@example.com", "--no-password", "--username", "\u0430dmin")
    assert "already registered" in embedded.run(*create, code=1).stderr
    file = embedded.write(
        "in.jsonl",
        lines(
            {"email": "a@example.com", "username": "\u0430dmin"},  # as an account
            {"email": "b@example.com", "username": "adrnin"},  # all of ASCII
            {"email": "c@example.com", "username": "r\u043eot"},
            {"email": "d@example.com", "username": "root"},  # as an earlier line
            {"email": "e@example.com", "username": "ro\u043et"},
            {"email": "f@example.com"},
        ),
    )
    for words in (["--dry-run"], ["--dry-run", "--batch-size", "1"], [], ["--batch-size", "1"]):
        found = report(embedded, file, *words, code=1)
        assert found["refused"] == 3
        assert found["imported"] + found["already_there"] == 3
    told = embedded.run("users", "import", file, code=1).stderr.splitlines()
    reason = "username: Looks like the username of another account or an earlier line."
    assert [line for line in told if line.startswith("line")] == [f"line {number}: {reason}" for number in (1, 4, 5)]


@in_memory
async def test_the_owner_may_change_how_the_own_name_looks_and_who_leaves_a_name_frees_it(client: Client) -> None:
    await register(client, "grace")
    await client.register("ada@example.com", username="admin")
    token = (await client.sign_in("ada@example.com"))["access_token"]
    for name in ("\u0430dmin", "\u0410dmin", "adrnin", "admin"):
        assert (await client.rename(token, name)).status_code == 200
    await register(client, "adrnin")
    assert (await client.rename(token, "\u0430dmin")).status_code == 409
    assert (await client.rename(token, None)).status_code == 200
    await register(client, "\u0430dmin", 409)  # looks like the one of ASCII that came second
    assert (await client.rename(token, "\u0430da")).status_code == 200
    await register(client, "ada", 409)
    assert (await client.delete_account(token)).status_code == 204
    await register(client, "ada")


RACERS = ["admin", "\u0430dmin", "adrnin", "\u0430drnin", "adm\u0456n", "adm1n"]
HELD = (
    "INSERT INTO users (id, email, email_canonical, hashed_password, role, is_active, is_verified, credential_epoch,"
    " created_at, updated_at, username_skeleton, username_twin)"
    " VALUES (gen_random_uuid(), 'x', 'x', 'x', 'user', TRUE, FALSE, 0, now(), now(), $1, $2)"
)


def assert_that_none_is_taken_for_another(names: list[str]) -> None:
    assert names
    assert len(names) == 1 or all(map(str.isascii, names)), names


@on_postgresql
async def test_of_registrations_at_once_that_look_alike_one_kind_wins_on_postgresql(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database=PATIENT, throttle={"enabled": False})
    holder, watcher = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    blocked = f"SELECT count(*) = {len(RACERS)} FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
    try:
        gate = holder.transaction()
        await gate.start()  # the first of this skeleton, not yet committed: every racer has looked, and seen nobody
        await holder.execute(HELD, skeleton("admin"), FIRST)
        racing = asyncio.gather(*(client.register(f"u{n}@example.com", username=x) for n, x in enumerate(RACERS)))
        await eventually(watcher.fetchval, blocked, seconds=20)
        await gate.rollback()
        assert {answer.status_code for answer in await racing} == {201, 409}
    finally:
        await holder.close()
        await watcher.close()
    assert_that_none_is_taken_for_another([x for (x,) in await run_sql(database_url, "SELECT username FROM users")])


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_of_registrations_at_once_that_look_alike_one_kind_wins_on_sqlite(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database=PATIENT, throttle={"enabled": False})
    racers = RACERS * 3
    racing = (client.register(f"u{number}@example.com", username=name) for number, name in enumerate(racers))
    assert {answer.status_code for answer in await asyncio.gather(*racing)} == {201, 409}
    assert_that_none_is_taken_for_another([x for (x,) in await run_sql(database_url, "SELECT username FROM users")])


@on_a_lasting_database
async def test_what_an_older_service_writes_beside_this_one_is_put_right(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(throttle={"enabled": False})
    await client.register("ada@example.com", username="\u0430dmin")
    await register(client, "grace")
    await add_as_an_older_service(database_url, "linus")
    # The older service knows neither skeletons nor whose they are.
    renamed = "UPDATE users SET username = $1, username_canonical = $1 WHERE username = $2"
    await run_sql(database_url, renamed, "ada", "\u0430dmin")
    await run_sql(database_url, renamed, "hopper", "grace")
    await register(client, "admin")  # the name that is gone holds up nobody, not even before that
    await fill_skeletons(client)
    filled = "SELECT count(*) FROM users WHERE username_skeleton_of = username_canonical"
    assert await run_sql(database_url, filled) == [(4,)]
    for name, code in {"\u0430da": 409, "l\u0456nus": 409, "h\u043epper": 409, "gr\u0430ce": 201}.items():
        await register(client, name, code)


def test_the_skeleton_of_ascii_needs_no_table_and_is_the_one_that_the_table_gives() -> None:
    """A name with an invisible joiner takes the long way, and the joiner leaves no trace."""
    for character in string.ascii_letters + string.digits + "._-":
        assert skeleton(character) == skeleton(f"{character}\u200d"), character


def test_the_table_is_not_read_for_names_of_ascii() -> None:
    """So a process pays nothing for it before a name comes that needs it."""
    _prototypes.cache_clear()
    skeleton("Admin-1")
    assert _prototypes.cache_info().currsize == 0
    skeleton("\u0430dmin")
    assert _prototypes.cache_info().currsize == 1


def test_a_skeleton_is_never_too_long_for_its_column() -> None:
    assert len(skeleton("\ufdfa" * 64)) <= 255
    assert len({skeleton("\ufdfa" * count) for count in (60, 61, 62, 63)}) == 4
    assert UUID(int=0) == FIRST
