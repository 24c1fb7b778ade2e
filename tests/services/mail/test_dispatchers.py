"""Postmen of real processes: several at once, and one that is killed."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from auth_service.cli import main
from tests.conftest import environment
from tests.support.client import Client
from tests.support.mail_server import link_in, mail_server, tarpit
from tests.support.polling import eventually
from tests.support.server import Server
from tests.support.sql import run_sql

MAILS = 30
MANY = f"""INSERT INTO outgoing_mails (id, kind, user_id, details, created_at, attempts, due_at)
    SELECT gen_random_uuid(), 'password-changed', id, '{{}}', now(), 0, now() FROM users, generate_series(1, {MAILS})"""


def mail_environment(url: str, port: int, **more: str) -> dict[str, str]:
    return environment(
        url,
        AUTH_MAIL__HOST="127.0.0.1",
        AUTH_MAIL__PORT=str(port),
        AUTH_MAIL__SECURITY="none",
        AUTH_MAIL__SENDER="no-reply@example.com",
        AUTH_MAIL__INTERVAL="0.1",
        **more,
    )


async def register(server: Server) -> None:
    async with Client(base_url=server.base_url, trust_env=False, timeout=30) as client:
        (await client.register("ada@example.com")).raise_for_status()


async def left(url: str) -> int:
    return len(await run_sql(url, "SELECT id FROM outgoing_mails"))


async def test_two_processes_send_each_mail_once(postgres_url: str, tmp_path: Path) -> None:
    async with mail_server() as mails:
        with Server(mail_environment(postgres_url, mails.port), tmp_path, workers=2) as server:
            await asyncio.to_thread(server.wait_ready, 60)
            await register(server)
            await mails.wait_for(1)
            await run_sql(postgres_url, "UPDATE users SET is_verified = true")
            await run_sql(postgres_url, MANY)
            await mails.wait_for(1 + MAILS, seconds=40)

            async def all_are_done() -> bool:
                return not await left(postgres_url)

            await eventually(all_are_done)
            await asyncio.to_thread(server.terminate)
    assert len({mail["Message-ID"] for mail in mails.mails}) == len(mails.mails) == 1 + MAILS


async def test_a_mail_comes_though_the_service_was_killed_between_the_commit_and_the_sending(
    postgres_url: str, tmp_path: Path
) -> None:
    connected = asyncio.Semaphore(0)

    async def hold(_writer: asyncio.StreamWriter) -> None:
        connected.release()
        await asyncio.Event().wait()

    async with tarpit(hold) as port:
        with Server(mail_environment(postgres_url, port), tmp_path) as server:
            await asyncio.to_thread(server.wait_ready, 60)
            await register(server)
            for _ in range(2):  # the question what the server offers, and the mail
                await asyncio.wait_for(connected.acquire(), 20)
            await asyncio.to_thread(server.kill)
            assert "lnk_" not in server.log()
    assert await run_sql(postgres_url, "SELECT attempts, due_at > now() FROM outgoing_mails") == [(1, True)]
    await run_sql(postgres_url, "UPDATE outgoing_mails SET due_at = now()")  # the lease is over
    async with mail_server() as mails:
        with Server(mail_environment(postgres_url, mails.port), tmp_path) as server:
            (mail,) = await mails.wait_for(1)
            await asyncio.to_thread(server.terminate)
            assert "lnk_" not in server.log()
            assert "ada@example.com" not in server.log()
    assert link_in(mail)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Subject: {{ nonsense }}\n\nHello", "verify-email.txt: 'nonsense' is undefined"),
        (
            "Subject: Hello\n\n{% if %}",
            "verify-email.txt: line 3: Expected an expression, got 'end of statement block'",
        ),
        ("Hello", "verify-email.txt: the first line must be 'Subject: ...'"),
    ],
)
def test_a_template_that_cannot_be_used_stops_the_start(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "verify-email.txt").write_text(text)
    env = environment("sqlite+aiosqlite://", AUTH_MAIL__TEMPLATES=str(tmp_path))
    ended = CliRunner().invoke(main, ["serve", "--port", "0"], env=env)
    assert (ended.exit_code, ended.stderr.strip()) == (2, f"Error: AUTH_MAIL__TEMPLATES: {complaint}")
