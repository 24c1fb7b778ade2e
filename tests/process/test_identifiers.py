"""E-mail addresses and usernames: one account for all spellings of one name, and none for look-alikes."""

import asyncio
import sqlite3
import unicodedata
from contextlib import closing

import asyncpg
import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auth_service.errors import InvalidInput
from auth_service.identifiers import canonical_email, canonical_username
from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

in_memory = pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)

VICTIM = "kelvin@office.example"
LOOKALIKES = {
    "KELVIN SIGN": "\u212aelvin@office.example",
    "full-width letter": "\uff4belvin@office.example",
    "full-width at sign": "kelvin\uff20office.example",
    "full-width full stop": "kelvin@office\uff0eexample",
    "ligature in the name": "ke\ufb02vin@office.example",
    "ligature in the domain": "kelvin@o\ufb03ce.example",
    "mathematical letters": "\U0001d424elvin@office.example",
    "circled letter": "\u24dbelvin@office.example",
    "long s": "kelvin@of\u017fice.example",
    "trailing dot": "kelvin@office.example.",
    "two dots": "kelvin@office..example",
    "embedded NUL": "kelvin\x00@office.example",
    "NUL at the end": "kelvin@office.example\x00",
    "zero-width joiner": "kel\u200dvin@office.example",
    "zero-width space": "kelvin\u200b@office.example",
    "soft hyphen": "kel\u00advin@office.example",
    "byte order mark": "\ufeffkelvin@office.example",
    "right-to-left override": "\u202ekelvin@office.example",
    "soft hyphen in the domain": "kelvin@off\u00adice.example",
    "line break": "kelvin@office.example\r\nBcc: x@evil.test",
    "display name": "Kelvin <kelvin@office.example>",
    "quoted name": '"kelvin"@office.example',
    "comment": "kelvin(x)@office.example",
    "two addresses": "kelvin@office.example,x@evil.test",
    "two at signs": "x@evil.test@office.example",
    "space inside": "kel vin@office.example",
    "address literal": "kelvin@[127.0.0.1]",
    "punycode of nothing": "kelvin@xn--office-.example",
}
STRANGERS = {
    "dotted capital I": "kelv\u0130n@office.example",
    "dotless i": "kelv\u0131n@office.example",
    "Cyrillic letter": "k\u0435lvin@office.example",
    "accent": "k\u00e9lvin@office.example",
    "a plus tag": "kelvin+x@office.example",
    "a dot": "kel.vin@office.example",
    "another domain": "kelvin@office.example.com",
    "a hyphenated domain": "kelvin@off-ice.example",
}
SPELLINGS = [
    ("ada@m\u00fcnchen.example", "ada@xn--mnchen-3ya.example"),
    ("ada@M\u00dcNCHEN.example", "ada@mu\u0308nchen.example"),
    ("ada@xn--mnchen-3ya.example", "ADA@XN--MNCHEN-3YA.EXAMPLE"),
    ("ada@\u4f8b\u5b50.example", "ada@xn--fsqu00a.example"),
    ("ada@office.example", "ada@office\u3002example"),  # the full stop of Chinese and Japanese keyboards (UTS #46)
    ("andr\u00e9@example.com", "ANDRE\u0301@Example.COM"),
    ("  ada@example.com ", "Ada@Example.Com\t"),
    (
        "\u03c3\u03b9\u03c3\u03c5\u03c6\u03bf\u03c2@example.com",
        "\u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3@example.com",
    ),
]


@in_memory
@pytest.mark.parametrize("lookalike", LOOKALIKES.values(), ids=LOOKALIKES)
async def test_a_lookalike_of_an_address_is_refused_and_never_reaches_the_account(
    client: Client, lookalike: str
) -> None:
    await client.register(VICTIM)
    assert_problem(await client.register(lookalike), 422, "validation-error")
    assert_problem(await client.login(lookalike), 422, "validation-error")


@in_memory
@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
async def test_a_similar_address_is_somebody_else(client: Client, stranger: str) -> None:
    victim = (await client.register(VICTIM)).json()
    assert (await client.login(stranger)).status_code == 401
    other = await client.register(stranger, "another long passphrase")
    assert other.status_code == 201
    assert other.json()["id"] != victim["id"]
    assert (await client.login(VICTIM, "another long passphrase")).status_code == 401


@in_memory
@pytest.mark.parametrize(("one", "other"), SPELLINGS)
async def test_two_spellings_of_an_address_are_one_account(client: Client, one: str, other: str) -> None:
    assert (await client.register(one)).status_code == 201
    assert_problem(await client.register(other), 409, "account-exists")
    assert (await client.login(other)).status_code == 200
    assert (await client.register("free@example.com")).status_code == 201


def test_a_canonical_address_has_an_ascii_domain_and_keeps_the_letters_of_the_name() -> None:
    assert canonical_email(" Andre\u0301@M\u00dcNCHEN.example") == "andr\u00e9@xn--mnchen-3ya.example"


@in_memory
@pytest.mark.parametrize(
    "name",
    [
        "\u212aelvin",
        "\uff4belvin",
        "ke\ufb02vin",
        "kel vin",
        "k@x",
        "\x00",
        "a\u200bb",
        ".a",
        "-a",
        "_a",
        " ",
        "x" * 65,
    ],
)
async def test_a_username_that_could_pass_for_another_is_refused(client: Client, name: str) -> None:
    body = {"email": VICTIM, "username": name, "password": PASSWORD}
    assert_problem(await client.post("/auth/register", json=body), 422, "validation-error")
    login = await client.post("/auth/login", json={"username": name, "password": PASSWORD})
    assert_problem(login, 422, "validation-error")


@in_memory
async def test_a_username_signs_in_in_each_of_its_spellings(client: Client) -> None:
    await client.register(VICTIM, PASSWORD, "Andr\u00e9.K-9")
    for spelling in ("andr\u00e9.k-9", "ANDRE\u0301.K-9", " Andr\u00e9.K-9 "):
        answer = await client.post("/auth/login", json={"username": spelling, "password": PASSWORD})
        assert answer.status_code == 200
        assert_problem(await client.register("other@office.example", PASSWORD, spelling), 409, "account-exists")


async def test_an_address_that_is_taken_does_not_take_the_username_with_it(client: Client) -> None:
    await client.register(VICTIM, PASSWORD, "kelvin")
    assert_problem(await client.register(VICTIM, PASSWORD, "free"), 409, "account-exists")
    assert (await client.register("other@office.example", PASSWORD, "free")).status_code == 201


@given(st.text(max_size=40))
@example("\u212a@x.io")
@example("\u0345\u03b1@x.io")
def test_a_canonical_form_is_stable_and_refuses_or_agrees_for_every_spelling(text: str) -> None:
    for canonical, name in ((canonical_email, f"{text}@x.io"), (canonical_email, text), (canonical_username, text)):
        try:
            found = canonical(name)
        except InvalidInput:
            continue
        assert canonical(found) == found
        for spelling in (unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name), f" {name} "):
            assert canonical(spelling) == found


RACERS = [
    spelling
    for number in range(25)
    for spelling in (
        "".join(c.upper() if number >> bit & 1 else c for bit, c in enumerate("andr\u00e9")) + "@Example.com",
        "".join(c.upper() if number >> bit & 1 else c for bit, c in enumerate("andre\u0301")) + "@EXAMPLE.com",
    )
]
INSERT = (
    "INSERT INTO users (id, email, email_canonical, hashed_password, role, is_active, is_verified, credential_epoch,"
    " created_at, updated_at) VALUES (gen_random_uuid(), 'x', $1, 'x', 'user', TRUE, FALSE, 0, now(), now())"
)
PATIENT = {"statement_timeout": 30, "pool_size": 50, "pool_timeout": 2}


async def _register_all(client: Client) -> list[int]:
    return [answer.status_code for answer in await asyncio.gather(*map(client.register, RACERS))]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_of_50_registrations_at_once_on_postgresql_exactly_one_wins(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database=PATIENT, hashing={"deadline": 30}, throttle={"enabled": False})
    holder, watcher = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    blocked = "SELECT count(*) = 50 FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
    try:
        gate = holder.transaction()
        await gate.start()  # the same address, not yet committed: every racer has to wait for its fate
        await holder.execute(INSERT, canonical_email(RACERS[0]))
        racing = asyncio.create_task(_register_all(client))
        await eventually(watcher.fetchval, blocked, seconds=20)
        await gate.rollback()
        assert sorted(await racing) == [201] + [409] * 49
    finally:
        await holder.close()
        await watcher.close()
    assert await run_sql(database_url, "SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_of_50_registrations_at_once_on_a_sqlite_file_exactly_one_wins(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(database=PATIENT, hashing={"deadline": 30}, throttle={"enabled": False})
    path = database_url.partition("///")[2]

    async def all_wait() -> bool:
        return [file.path for file in psutil.Process().open_files()].count(path) > len(RACERS)

    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as holder:
        await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")  # the place of the one writer, for all of them
        racing = asyncio.create_task(_register_all(client))
        await eventually(all_wait, seconds=20)
        holder.execute("ROLLBACK")
    assert sorted(await racing) == [201] + [409] * 49
    assert await run_sql(database_url, "SELECT count(*) FROM users") == [(1,)]
