"""Clients that follow the protocol: they keep the last token, and go to the process that answers."""

import asyncio
import base64
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Protocol, Self
from uuid import uuid4

import httpx

from .client import Client

PAUSE = 0.02
PATIENCE = 15  # seconds until somebody must have answered

Request = Callable[[Client], Awaitable[httpx.Response]]


class RequestWithTokens(Protocol):
    def __call__(self, door: Client, *, tokens: dict[str, Any]) -> Awaitable[httpx.Response]: ...


def kid_of(access_token: str) -> str:
    """The id of the key that signed a token."""
    header = access_token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=="))["kid"])


class Traffic:
    """Each client refreshes and asks who it is, by turns. As a context manager it ends them with the block.

    It refreshes so often that it needs a service without a grace if every refresh is to rotate; its keys are enough.
    `also` is what it asks besides, by name, each with the tokens that it holds.
    """

    def __init__(
        self, base_urls: Sequence[str], clients: int = 4, also: Mapping[str, RequestWithTokens] | None = None
    ) -> None:
        self._urls = base_urls
        self._count = clients
        self._also = also or {}
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = False
        self.tokens: list[dict[str, Any]] = []
        self.answers: Counter[tuple[str, int]] = Counter()
        self.lost = 0  # requests without an answer
        self._allowed: dict[int, int] | None = None

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        self._doors = [
            await self._stack.enter_async_context(Client(base_url=url, trust_env=False, timeout=10))
            for url in self._urls
        ]
        for number in range(self._count):
            email = f"{uuid4().hex}@example.com"
            (await self._doors[0].register(email)).raise_for_status()
            self.tokens.append(await self._doors[0].sign_in(email))
            self._tasks.append(asyncio.create_task(self._work(number)))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending = True
        try:
            await asyncio.gather(*self._tasks)
        finally:
            await self._stack.aclose()

    @property
    def statuses(self) -> set[int]:
        """Every status that was seen so far."""
        return {status for _, status in self.answers}

    def allow(self, rotations: int | None) -> None:
        """Let each client refresh so many times more, or, for None, as often as it likes."""
        self._allowed = None if rotations is None else dict.fromkeys(range(self._count), rotations)

    async def goes_on(self, seconds: float = 15) -> None:
        """Wait until each client has got new tokens, counted from now."""
        before = [tokens["access_token"] for tokens in self.tokens]
        deadline = asyncio.get_running_loop().time() + seconds
        while any(old == new["access_token"] for old, new in zip(before, self.tokens, strict=True)):
            if asyncio.get_running_loop().time() > deadline or any(task.done() for task in self._tasks):
                raise AssertionError(f"the traffic has come to a stop: {self.answers}")
            await asyncio.sleep(PAUSE)

    async def _work(self, number: int) -> None:
        for turn in itertools.count(number):
            if self._ending:
                return
            if self._allowed is None or self._allowed[number]:
                await self._refresh(number, turn)
            await asyncio.sleep(PAUSE)
            await self._ask(self.tokens[number]["access_token"], turn + 1)
            for name, request in self._also.items():
                await self._send(name, turn, partial(request, tokens=self.tokens[number]))
            await asyncio.sleep(PAUSE)

    async def _ask(self, token: str, turn: int) -> None:
        await self._send("me", turn, lambda door: door.me(token))

    async def _refresh(self, number: int, turn: int) -> None:
        """A retry is the same request: the token that is held, and the key that goes with it."""
        token = self.tokens[number]["refresh_token"]
        key = hashlib.sha256(token.encode()).hexdigest()
        answer = await self._send("refresh", turn, lambda door: door.refresh(token, key))
        if answer.status_code == httpx.codes.OK:
            self.tokens[number] = answer.json()
            if self._allowed is not None:
                self._allowed[number] -= 1

    async def _send(self, operation: str, turn: int, request: Request) -> httpx.Response:
        """Ask one process after the other until one answers; a connection that is refused or lost is no answer."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                answer = await request(self._doors[turn % len(self._doors)])
            except httpx.TransportError:
                self.lost += 1
                if asyncio.get_running_loop().time() > deadline:
                    raise
                turn += 1
                await asyncio.sleep(PAUSE)
            else:
                self.answers[operation, answer.status_code] += 1
                return answer
