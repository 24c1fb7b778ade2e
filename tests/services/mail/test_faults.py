"""Mail and the database's locks: a failure in the middle is told, and nobody waits for each other for ever."""

import asyncio

import pytest

from tests.conftest import MakeClient
from tests.support.databases import on_postgresql
from tests.support.gate import gate
from tests.support.mail_server import mail_server, tarpit
from tests.support.outbox import PLAIN, none_waits, to
from tests.support.polling import eventually
from tests.support.sql import run_sql
from tests.support.stored_session import StoredSession


@on_postgresql
async def test_a_failure_that_the_database_cannot_note_is_told_and_the_mail_comes_after_its_lease(
    make_client: MakeClient, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    connected, hang_up = asyncio.Semaphore(0), asyncio.Event()

    async def wait_and_hang_up(_writer: asyncio.StreamWriter) -> None:
        connected.release()
        await hang_up.wait()

    async with tarpit(wait_and_hang_up) as port, gate(database_url) as held:
        client = await make_client(mail=PLAIN | {"port": port}, database={"statement_timeout": 0.5})
        await client.register("ada@example.com")
        for _ in range(2):  # the question what the server offers, and the mail
            await asyncio.wait_for(connected.acquire(), 20)
        await held.close("SELECT 1 FROM outgoing_mails FOR UPDATE")
        hang_up.set()
        told = ""

        async def is_told() -> bool:
            nonlocal told
            told += capsys.readouterr().out
            return '"mail.interrupted"' in told

        await eventually(is_told)
        await held.open()
    async with mail_server(port=port):
        await run_sql(database_url, "UPDATE outgoing_mails SET due_at = now()")  # the lease is over
        await eventually(none_waits, client, seconds=20)


@on_postgresql
async def test_a_mail_that_is_taken_back_while_its_link_is_made_is_not_sent(
    make_client: MakeClient, database_url: str
) -> None:
    async with mail_server() as server, gate(database_url) as held:
        client = await make_client(mail=to(server), database={"statement_timeout": 60})
        await held.close("LOCK TABLE link_tokens IN SHARE MODE")
        await client.register("ada@example.com")
        await held.wait_for(1)
        await held.run("DELETE FROM outgoing_mails")  # as a newer change of address does
        await held.open()
        await client.forgot_password("ada@example.com")
        await server.wait_for(1)
        await eventually(none_waits, client)
    assert server.subjects() == ["Reset your password"]


@on_postgresql
async def test_a_mail_whose_link_is_made_while_the_password_changes_is_sent_all_the_same(
    make_client: MakeClient, database_url: str
) -> None:
    async with mail_server() as server, gate(database_url) as held:
        client = await make_client(mail=to(server), database={"statement_timeout": 60})
        await held.close("LOCK TABLE link_tokens IN SHARE MODE")
        await client.register("ada@example.com")
        await held.wait_for(1)
        await held.run("UPDATE users SET credential_epoch = credential_epoch + 1")  # as a change of password does
        await held.open()
        await server.wait_for(1)
        await eventually(none_waits, client)
    assert server.subjects() == ["Confirm your e-mail address"]


@on_postgresql
async def test_a_spent_token_that_comes_while_its_user_is_deleted_waits_at_the_user_and_holds_no_session(
    make_client: MakeClient, database_url: str
) -> None:
    async with mail_server() as server, gate(database_url) as held:
        client = await make_client(mail=to(server), database={"statement_timeout": 60})
        await client.register("ada@example.com")
        tokens = await client.sign_in()
        head = await client.rotate(tokens["refresh_token"], times=2)
        await StoredSession(client, head).time_passes(hours=1)
        await eventually(none_waits, client)
        await held.close("SELECT 1 FROM users FOR UPDATE")  # as a deletion begins
        reuse = asyncio.create_task(client.refresh(tokens["refresh_token"]))
        await held.wait_for(1)
        await held.run("SELECT 1 FROM refresh_tokens FOR UPDATE NOWAIT")
        await held.run("DELETE FROM users")
        await held.open()
        assert (await reuse).status_code == 401
        await eventually(none_waits, client)
