"""An account is deleted while it is used: nobody gets a 500, nothing of it is left, and its address is free again.

On PostgreSQL each race is forced in both orders; on SQLite, where one writes at a time, they run as they come.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from tests.support.client import PASSWORD, Client
from tests.support.orphans import hang_mail_on, left_of
from tests.support.polling import eventually
from tests.support.processes import client_of
from tests.support.races import WAITING, Gate
from tests.support.server import Server
from tests.support.sql import run_sql

NEW = "a passphrase that is new"
IN_TURN = pytest.mark.parametrize("deletion_first", [True, False], ids=["deletion first", "deletion second"])
MANY_SESSIONS = """
INSERT INTO refresh_tokens (id, user_id, credential_epoch, secret_hash, generation, rotations, created_at, last_used_at,
                            expires_at)
SELECT gen_random_uuid(), user_id, credential_epoch, sha256(number::text::bytea), 0, '{}', created_at, last_used_at,
       expires_at
FROM refresh_tokens, generate_series(1, 49) AS number WHERE user_id = $1
"""


class Somebody:
    """An account that is about to be deleted, with two sessions."""

    def __init__(self, url: str, client: Client, gate: Gate) -> None:
        self.url, self.client, self.gate = url, client, gate
        self.email = f"{uuid4().hex}@example.com"

    async def arrive(self) -> None:
        self.id = (await self.client.register(self.email)).raise_for_status().json()["id"]
        self.mine, self.other = [await self.client.sign_in(self.email) for _ in range(2)]

    async def delete(self, password: str = PASSWORD) -> httpx.Response:
        return await self.client.delete_account(self.mine["access_token"], password)

    async def race(self, row: str, *racers: Any, deletion_first: bool) -> list[httpx.Response]:
        """Race the deletion for a row of the other session, or for the account's; its answer is the first one."""
        table = "users" if row == self.id else "refresh_tokens"
        deletion = self.delete()
        if deletion_first:
            return await self.gate.race(table, row, deletion, *racers)
        *others, deleted = await self.gate.race(table, row, *racers, deletion)
        return [deleted, *others]

    async def is_gone(self, *received: httpx.Response) -> bool:
        """Whether nothing lets anybody in, nothing is left but the trail, and the address can be had again."""
        tokens = [self.mine, self.other, *(answer.json() for answer in received if answer.status_code == 200)]
        for held in tokens:
            assert (await self.client.refresh(held["refresh_token"])).status_code == 401
            assert (await self.client.me(held["access_token"])).status_code == 401
        assert set(await left_of(self.url, self.id)) == {"audit_events"}
        return (await self.client.register(self.email)).status_code == 201


@pytest.fixture
async def somebody(raced_service: tuple[str, Server]) -> AsyncIterator[Somebody]:
    url, server = raced_service
    async with Gate.to(url) as gate, client_of(server) as client:
        who = Somebody(url, client, gate)
        await who.arrive()
        yield who


@IN_TURN
async def test_an_account_is_deleted_while_its_owner_signs_in(somebody: Somebody, deletion_first: bool) -> None:
    logins = [somebody.client.login(somebody.email) for _ in range(3)]
    deleted, *answers = await somebody.race(somebody.id, *logins, deletion_first=deletion_first)
    assert deleted.status_code == 204
    assert [answer.status_code for answer in answers] == [401 if deletion_first else 200] * 3
    assert await somebody.is_gone(*answers)


@IN_TURN
async def test_an_account_is_deleted_while_five_tabs_refresh(somebody: Somebody, deletion_first: bool) -> None:
    refreshes = [somebody.client.refresh(somebody.other["refresh_token"]) for _ in range(5)]
    row = somebody.other["session_id"]
    deleted, *answers = await somebody.race(row, *refreshes, deletion_first=deletion_first)
    assert deleted.status_code == 204
    codes = {answer.status_code for answer in answers}
    # One tab rotates; the others look again to get the same successor, and may find that the account is gone.
    assert codes == {401} if deletion_first else 200 in codes and codes <= {200, 401}
    assert len({answer.json()["refresh_token"] for answer in answers if answer.is_success}) == (not deletion_first)
    assert await somebody.is_gone(*answers)


@IN_TURN
async def test_of_a_deletion_and_a_password_change_the_first_wins(somebody: Somebody, deletion_first: bool) -> None:
    change = somebody.client.change_password(somebody.mine["access_token"], PASSWORD, NEW)
    answers = await somebody.race(somebody.id, change, deletion_first=deletion_first)
    assert [answer.status_code for answer in answers] == ([204, 401] if deletion_first else [401, 200])
    if not deletion_first:
        mine = answers[1].json()["access_token"]
        assert (await somebody.client.delete_account(mine, NEW)).status_code == 204
    assert await somebody.is_gone(*answers)


async def test_an_account_with_fifty_sessions_and_mail_is_deleted_although_its_mail_is_being_sent(
    somebody: Somebody,
) -> None:
    await run_sql(
        somebody.url, MANY_SESSIONS.replace("$1", f"'{somebody.id}' AND id = '{somebody.mine['session_id']}'")
    )
    await hang_mail_on(somebody.url, somebody.id)
    async with being_sent(somebody) as link_is_made:
        deletion = asyncio.create_task(somebody.delete())
        await eventually(deletion_waits, somebody)
        await link_is_made()
    assert (await deletion).status_code == 204
    assert await somebody.is_gone()


@asynccontextmanager
async def being_sent(somebody: Somebody) -> AsyncIterator[Any]:
    """Whoever sends a mail locks it first and the user's row then, by the foreign key of the link: a deadlock."""
    connection = await asyncpg.connect(somebody.url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM outgoing_mails WHERE user_id = $1 FOR UPDATE", somebody.id)

            async def make_link() -> None:
                await connection.execute("SELECT 1 FROM users WHERE id = $1 FOR KEY SHARE", somebody.id)

            yield make_link
    finally:
        await connection.close()


async def deletion_waits(somebody: Somebody) -> bool:
    return await run_sql(somebody.url, WAITING) == [(1,)]


async def test_of_three_administrators_who_leave_at_once_the_last_one_stays(somebody: Somebody) -> None:
    leaving = [somebody, *(Somebody(somebody.url, somebody.client, somebody.gate) for _ in range(2))]
    for other in leaving[1:]:
        await other.arrive()
    await run_sql(somebody.url, "UPDATE users SET role = 'admin' WHERE id = ANY($1)", [who.id for who in leaving])
    first = min(who.id for who in leaving)
    answers = await somebody.gate.race("users", first, *(who.delete() for who in leaving))
    assert [answer.status_code for answer in answers] == [204, 204, 409]
    assert (await somebody.client.me(leaving[2].mine["access_token"])).json()["role"] == "admin"


@pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
async def test_on_sqlite_too_a_deletion_among_other_requests_is_one_answer_for_each(
    ada: Client, database_url: str
) -> None:
    mine, other = await ada.sign_in(), await ada.sign_in()
    user_id = (await ada.me(mine["access_token"])).json()["id"]
    deleted, *answers = await asyncio.gather(
        ada.delete_account(mine["access_token"]),
        *(ada.login() for _ in range(3)),
        *(ada.refresh(other["refresh_token"]) for _ in range(3)),
        ada.change_password(other["access_token"], PASSWORD, NEW),
    )
    if deleted.status_code != 204:  # the password change was faster
        deleted = await ada.delete_account(answers[-1].json()["access_token"], NEW)
    assert deleted.status_code == 204
    assert {answer.status_code for answer in answers} <= {200, 401}
    received = [answer.json() for answer in answers if answer.status_code == 200]
    for tokens in (mine, other, *received):
        assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
    assert set(await left_of(database_url, user_id)) == {"audit_events"}
    assert (await ada.register("ada@example.com", PASSWORD, "ada")).status_code == 201
