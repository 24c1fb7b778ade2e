"""Races that are forced: the row that all racers need is held until every one of them waits for it, and then let go."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import uuid4

import asyncpg
import httpx

from .authenticator import Authenticator
from .client import Client

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'auth_service' AND wait_event_type = 'Lock'
"""
PATIENCE = 15  # seconds until all racers must have come

Racer = Coroutine[Any, Any, httpx.Response]


class Gate:
    """Holds rows of the service's database, and sees who waits for them."""

    def __init__(self, holder: Any, watcher: Any) -> None:
        self._holder = holder
        self._watcher = watcher

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Self]:
        holder, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
        try:
            yield cls(holder, watcher)
        finally:
            await holder.close()
            await watcher.close()

    async def race(self, table: str, row: str, *racers: Racer) -> list[httpx.Response]:
        """Start the racers one after the other, each when those before it wait for the row; open; return the answers.

        Whoever came first goes first, so the order of the racers decides about the order in the queue.
        """
        transaction = self._holder.transaction()
        await transaction.start()
        await self._holder.execute(f"SELECT 1 FROM {table} WHERE id = $1 FOR UPDATE", row)
        tasks: list[asyncio.Task[httpx.Response]] = []
        for racer in racers:
            tasks.append(asyncio.create_task(racer))
            await self._wait_for(len(tasks), tasks)
        await transaction.rollback()
        return await asyncio.gather(*tasks)

    async def _wait_for(self, count: int, tasks: list[asyncio.Task[httpx.Response]]) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while await self._watcher.fetchval(WAITING) < count:
            done = [task.result() for task in tasks if task.done()]
            if done or asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not every racer waits; these do not wait any more: {done}")
            await asyncio.sleep(0.001)


Round = Callable[[], Awaitable[list[str]]]


class Races:
    """The races about credentials, through HTTP. A round returns what it found to be wrong: nothing, if all is well."""

    def __init__(self, gate: Gate, client: Client) -> None:
        self._gate = gate
        self._client = client
        self._turns = itertools.count()
        self._passwords = (f"a passphrase of turn {number}" for number in itertools.count())

    async def somebody(self) -> None:
        """Register whom the rounds are about, with a session that will change the password."""
        self._email, self._password = f"{uuid4().hex}@example.com", next(self._passwords)
        registered = await self._client.register(self._email, self._password)
        self._user = registered.raise_for_status().json()["id"]
        self._mine = await self._sign_in()

    async def login_against_password_change(self) -> list[str]:
        """Log in with the old password while it is changed: both have verified it already."""
        old, new = self._password, next(self._passwords)
        racers = [self._client.login(self._email, old), self._change(old, new)]
        if next(self._turns) % 2:
            racers.reverse()
        answers = await self._gate.race("users", self._user, *racers)
        self._password = new
        found = [] if sorted(a.status_code for a in answers) in ([200, 200], [200, 401]) else [f"{answers}"]
        return found + await self._alive(*_tokens_in(self._without_the_change(answers)))

    async def login_against_first_factor(self) -> list[str]:
        """Log in with the password alone while the first factor is confirmed: the login has found none."""
        await self.somebody()
        app = await Authenticator.begin(self._client, self._mine["access_token"])
        confirm = self._client.confirm_totp(self._mine["access_token"], app.id, app.code())
        racers = [self._client.login(self._email, self._password), confirm]
        if next(self._turns) % 2:
            racers.reverse()
        answers = await self._gate.race("users", self._user, *racers)
        (confirmed,) = [answer for answer in answers if answer.request.url.path.endswith("/confirm")]
        found = [] if confirmed.status_code == httpx.codes.OK else [f"{confirmed} {confirmed.text}"]
        logins = [answer for answer in answers if answer is not confirmed]
        found += [f"{answer}" for answer in logins if answer.status_code not in {200, 401}]
        await self._client.rotate(confirmed.json()["refresh_token"])
        return found + await self._alive(self._mine, *_tokens_in(logins))

    async def logout_against_refresh(self) -> list[str]:
        """Refresh a session while it is logged out."""
        mine = await self._sign_in()
        token = mine["refresh_token"]
        racers = [self._client.refresh(token), self._client.logout(token)]
        if next(self._turns) % 2:
            racers.reverse()
        answers = await self._gate.race("refresh_tokens", mine["session_id"], *racers)
        found = [] if sorted(a.status_code for a in answers) in ([200, 204], [204, 401]) else [f"{answers}"]
        return found + await self._alive(mine, *_tokens_in(answers))

    async def refreshes_against_password_change(self) -> list[str]:
        """Refresh another session five times at once while the password is changed."""
        return await self._refreshes_against_change(await self._sign_in())

    async def own_refreshes_against_password_change(self) -> list[str]:
        """Refresh the session that changes the password five times at once: it ends too, and the new one is alive."""
        return await self._refreshes_against_change(self._mine)

    async def _refreshes_against_change(self, session: dict[str, Any]) -> list[str]:
        old, new = self._password, next(self._passwords)
        racers = [*(self._client.refresh(session["refresh_token"]) for _ in range(5))]
        racers.insert(next(self._turns) % 6, self._change(old, new))
        answers = await self._gate.race("refresh_tokens", session["session_id"], *racers)
        self._password = new
        found = [f"{answer}" for answer in answers if answer.status_code not in {200, 401}]
        refreshes = self._without_the_change(answers)
        self._mine = await self._client.rotate(self._mine["refresh_token"])
        return found + await self._alive(session, *_tokens_in(refreshes))

    def _without_the_change(self, answers: list[httpx.Response]) -> list[httpx.Response]:
        """The other answers; the new session is the one that goes on."""
        (changed,) = [answer for answer in answers if answer.request.url.path == "/auth/me/password"]
        self._mine = changed.raise_for_status().json()
        return [answer for answer in answers if answer is not changed]

    async def _sign_in(self) -> dict[str, Any]:
        return await self._client.sign_in(self._email, self._password)

    async def _change(self, old: str, new: str) -> httpx.Response:
        return await self._client.change_password(self._mine["access_token"], old, new)

    async def _alive(self, *opened: dict[str, Any]) -> list[str]:
        """Say which tokens open anything: refresh tokens, and access tokens with and without a look at the row."""
        found = []
        for tokens in opened:
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            answers = (
                await self._client.refresh(tokens["refresh_token"]),
                await self._client.me(tokens["access_token"]),
                await self._client.get("/auth/sessions", headers=bearer),
            )
            found += [f"let in: {a.request.url} {a}" for a in answers if a.status_code != httpx.codes.UNAUTHORIZED]
        return found


def _tokens_in(answers: list[httpx.Response]) -> list[dict[str, Any]]:
    return [answer.json() for answer in answers if answer.status_code == httpx.codes.OK]


async def run_rounds(one: Round, rounds: int) -> list[str]:
    """Play so many rounds, and return everything that was wrong."""
    return [wrong for _ in range(rounds) for wrong in await one()]
