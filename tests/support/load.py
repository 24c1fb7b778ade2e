"""A modest load of clients that follow the protocol, and what each of their requests was answered."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self

import httpx

from .client import PASSWORD, Client
from .polling import eventually

OPERATIONS = frozenset({"refresh", "login", "me", "register"})
_PAUSE = 0.02


@dataclass(frozen=True)
class Answer:
    """One answer: to what, with which status, after how many seconds."""

    operation: str
    status: int
    seconds: float
    retry_after: str | None
    body: str


class Load:
    """Clients of a running service, each on its own: some refresh, some log in, some ask who they are, one registers.

    They keep the last refresh token that they received, and try again with it after whatever else than a 200, as the
    protocol says. As a context manager it signs its clients in, and ends them with the block.
    """

    def __init__(self, base_url: str, each: int = 3) -> None:
        limits = httpx.Limits(max_connections=4 * each + 1)
        self._client = Client(base_url=base_url, trust_env=False, timeout=30, limits=limits)
        self._each = each
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []
        self._tokens: list[dict[str, Any]] = []
        self.sessions: list[str] = []
        self.answers: list[Answer] = []

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _begin(self) -> None:
        name = f"load-{time.monotonic_ns()}"
        for number in range(self._each):
            email = f"{name}-{number}@example.com"
            (await self._client.register(email)).raise_for_status()
            self._tokens.append(await self._client.sign_in(email))
            for work in (self._refresh(number), self._login(email), self._ask(number)):
                self._tasks.append(asyncio.create_task(work))
        self._tasks.append(asyncio.create_task(self._register(name)))
        self.sessions = [tokens["session_id"] for tokens in self._tokens]

    async def __aexit__(self, *_: object) -> None:
        await self.end()
        await self._client.aclose()

    async def all_succeed(self, seconds: float = 15) -> None:
        """Wait until each operation has succeeded, counted from now."""
        await self._answered({200, 201}, OPERATIONS, seconds)

    async def all_fail(self, operations: frozenset[str] = OPERATIONS) -> None:
        """Wait until each of these operations has got a 503, counted from now."""
        await self._answered({503}, operations, 15)

    async def _answered(self, statuses: set[int], operations: frozenset[str], seconds: float) -> None:
        before = len(self.answers)

        async def so() -> bool:
            self._raise_if_dead()
            return operations <= {answer.operation for answer in self.answers[before:] if answer.status in statuses}

        await eventually(so, seconds=seconds)

    async def end(self) -> None:
        """Let the clients finish what they are at, and end; may be called twice."""
        self._ending = True
        await asyncio.gather(*self._tasks)

    async def alive_sessions(self) -> list[str]:
        """Refresh every session once more and return those that are alive, under the id that they had."""
        answers = [await self._client.refresh(tokens["refresh_token"]) for tokens in self._tokens]
        return [answer.json()["session_id"] for answer in answers if answer.status_code == httpx.codes.OK]

    def _raise_if_dead(self) -> None:
        for task in self._tasks:
            if task.done() and (error := task.exception()):
                raise error

    async def _refresh(self, number: int) -> None:
        while not self._ending:
            answer = await self._timed("refresh", self._client.refresh(self._tokens[number]["refresh_token"]))
            if answer.status_code == httpx.codes.OK:
                self._tokens[number] = answer.json()

    async def _login(self, email: str) -> None:
        while not self._ending:
            await self._timed("login", self._client.login(email))

    async def _ask(self, number: int) -> None:
        while not self._ending:
            await self._timed("me", self._client.me(self._tokens[number]["access_token"]))

    async def _register(self, name: str) -> None:
        number = 0
        while not self._ending:
            answer = await self._timed("register", self._client.register(f"{name}-new-{number}@example.com", PASSWORD))
            # After a 503 nobody knows whether the account exists: the same again is 201 or 409.
            number += answer.status_code in {httpx.codes.CREATED, httpx.codes.CONFLICT}

    async def _timed(self, operation: str, request: Any) -> httpx.Response:
        started = time.monotonic()
        answer: httpx.Response = await request
        seconds = time.monotonic() - started
        given = Answer(operation, answer.status_code, seconds, answer.headers.get("retry-after"), answer.text)
        self.answers.append(given)
        await asyncio.sleep(_PAUSE)
        return answer
