"""AUTH_SECRET_KEY is replaced while everybody works; a secret that is missing is our fault, and nobody's 401."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.conftest import SECRET, environment
from tests.support.client import PASSWORD
from tests.support.processes import client_of, events
from tests.support.server import Server, run_command
from tests.support.traffic import Traffic

NEW = "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3RzLCBqdXN0IGFzIGxvbmc"


class Replicas:
    """Two processes on one database that are restarted one after the other with another AUTH_SECRET_KEY."""

    def __init__(self, url: str, folder: Path, stack: ExitStack) -> None:
        self._url = url
        self._folder = folder
        self._stack = stack
        self._servers = [self._start(SECRET), self._start(SECRET)]
        self.base_urls = [server.base_url for server in self._servers]

    @classmethod
    @contextmanager
    def run(cls, url: str, folder: Path) -> Iterator["Replicas"]:
        with ExitStack() as stack:
            yield cls(url, folder, stack)

    def restart_with(self, secrets: str) -> None:
        for number, server in enumerate(self._servers):
            assert server.terminate() == 0
            self._servers[number] = self._start(secrets, server.port)

    def _start(self, secrets: str, port: int | None = None) -> Server:
        server = self._stack.enter_context(Server(self._environment(secrets), self._folder, port=port))
        server.wait_ready()
        return server

    def rewrap(self, secrets: str) -> str:
        done = run_command("keys", "rewrap", env=self._environment(secrets), cwd=self._folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _environment(self, secrets: str) -> dict[str, str]:
        return {**environment(self._url, AUTH_TOKENS__REFRESH_GRACE="0"), "AUTH_SECRET_KEY": secrets}


def rewrapped(signing_keys: int) -> str:
    return f"signing keys encrypted again: {signing_keys}\nsecond factors encrypted again: 0"


async def test_a_secret_is_replaced_under_traffic_without_a_failed_request_or_a_sign_out(
    postgres_url: str, tmp_path: Path
) -> None:
    with Replicas.run(postgres_url, tmp_path) as replicas:
        async with Traffic(replicas.base_urls) as traffic:
            sessions = {tokens["session_id"] for tokens in traffic.tokens}
            await asyncio.to_thread(replicas.restart_with, f"{SECRET},{NEW}")  # everybody reads both
            await asyncio.to_thread(replicas.restart_with, f"{NEW},{SECRET}")  # everybody issues with the new one
            assert await asyncio.to_thread(replicas.rewrap, f"{NEW},{SECRET}") == rewrapped(1)
            assert await asyncio.to_thread(replicas.rewrap, f"{NEW},{SECRET}") == rewrapped(0)
            await traffic.goes_on()  # every refresh token is issued again
            await asyncio.to_thread(replicas.restart_with, NEW)
            await traffic.goes_on()
        assert traffic.statuses == {200}
        assert {tokens["session_id"] for tokens in traffic.tokens} == sessions


async def test_a_secret_that_is_dropped_too_early_is_a_503_and_never_a_401(postgres_url: str, tmp_path: Path) -> None:
    """The stored key is encrypted under it still: nothing that a client holds may be called invalid."""
    with Server(environment(postgres_url), tmp_path) as right:
        right.wait_ready()
        async with client_of(right) as client:
            await client.register("ada@example.com")
            tokens = await client.sign_in()
    wrong = {**environment(postgres_url), "AUTH_SECRET_KEY": NEW}
    with Server(wrong, tmp_path) as server:
        server.wait_live()
        async with client_of(server) as client:
            answers = {
                "refresh": await client.refresh(tokens["refresh_token"]),
                "login": await client.login("ada@example.com", PASSWORD),
                "logout": await client.logout(tokens["refresh_token"]),
                "me": await client.me(tokens["access_token"]),
            }
            assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 503)
            assert {answer.headers["retry-after"].isdecimal() for answer in answers.values()} == {True}
        (event,) = events(server.log(), "signing_key.unreadable")
        assert event["hint"] == "AUTH_SECRET_KEY must list the secret that sealed it"
    refused = run_command("keys", "rewrap", env=wrong, cwd=tmp_path)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    with Server(environment(postgres_url), tmp_path) as right:
        right.wait_ready()
        async with client_of(right) as client:
            assert (await client.refresh(tokens["refresh_token"])).status_code == 200
