"""The table of attempts: nobody can read from it who was attacked or from where, and it does not grow for ever."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from auth_service.models import THROTTLES
from auth_service.repositories.database import Database
from auth_service.services.operations.cleanup import Cleanup
from tests.conftest import SECRET, MakeClient
from tests.support.client import Client
from tests.support.sessions import HOUR, add_sessions, opened
from tests.support.stored_attempts import ATTACKER, GATEWAY, OWNER, StoredAttempts, enter, guess

WHO = ("ada@example.com", "ada", "nobody@example.com", ATTACKER, OWNER)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


async def be_seen(client: Client) -> str:
    """Leave every kind of row; return the id of the account."""
    ada = str((await client.register("ada@example.com", username="ada")).raise_for_status().json()["id"])
    tokens = (await enter(client)).raise_for_status().json()
    await client.change_password(tokens["access_token"], "a wrong passphrase", "another passphrase")
    for email in ("ada@example.com", "nobody@example.com"):
        assert (await guess(client, email)).status_code == 401
    return ada


async def test_a_dump_names_neither_accounts_nor_addresses(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY)
    ada = await be_seen(client)
    rows = await StoredAttempts(client).rows()
    assert len(rows) in {13, 14}  # the last: a mail to an address that nobody has verified, once it is sent
    assert {len(key) for key in rows} == {32}
    dump = repr(rows).casefold()
    assert [word for word in (*WHO, ada, ada.replace("-", "")) if f"'{word}" in dump or f"{word}'" in dump] == []
    assert {type(value) for row in rows.values() for value in row.values()} == {bytes, int, datetime}


async def test_a_dump_cannot_be_searched_without_the_secret_key(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY)
    ada = await be_seen(client)
    rows = await StoredAttempts(client).rows()
    inputs = [
        "\0".join((purpose, *about)).encode()
        for purpose in ("login", "logins from", "password", "registrations from", "")
        for about in [(who,) for who in (*WHO, ada)] + [(ada, address) for address in (ATTACKER, OWNER)]
    ]
    known = [hashlib.sha256(given).digest() for given in inputs]
    known += [hmac.digest(key, given, "sha256") for given in inputs for key in (b"", b"throttles", bytes(32))]
    assert not set(known) & set(rows)
    other = await make_client(proxy=GATEWAY, secret_key=f"another{SECRET}")
    assert StoredAttempts(other).key("login", ada) not in rows
    assert StoredAttempts(client).key("login", ada) in rows


async def test_the_clean_up_deletes_what_has_expired_and_nothing_else(database: Database) -> None:
    now = datetime.now(UTC)
    lives = [-HOUR, -HOUR, -timedelta(seconds=1), HOUR, 24 * HOUR]
    rows = [
        {"key": bytes([n]) * 32, "failures": 50, "pending": 0, "pending_until": now, "blocked_until": now + life,
         "expires_at": now + life} for n, life in enumerate(lives)
    ]  # fmt: skip
    async with database.transaction() as tx:
        await tx.connection.execute(insert(THROTTLES), rows)
    await add_sessions(database, -HOUR, HOUR)
    report = await Cleanup(database).delete_expired(2)
    assert (report.deleted, report.throttles_deleted) == (1, 3)
    async with database.statement() as tx:
        left = (await tx.connection.execute(THROTTLES.select())).all()
    assert {row.key[0] for row in left} == {3, 4}
    assert (await Cleanup(database).delete_expired(100)).throttles_deleted == 0


async def test_what_an_attack_leaves_has_gone_two_days_later(make_client: MakeClient) -> None:
    client = await make_client(proxy=GATEWAY)
    for number in range(5):
        await guess(client, f"user{number}@example.com", f"198.51.100.{number}")
    stored = StoredAttempts(client)
    assert len(await stored.rows()) == 5 + 5 + 1 + 5
    await stored.time_passes(hours=48)
    report = await Cleanup(stored._database).delete_expired(100)
    assert report.throttles_deleted == 16
    assert await stored.rows() == {}
