"""The client for asynchronous code; any number of tasks of one loop may share one."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, Self

import httpx2

from auth_service_client.bearer import AsyncBearer, StepUpAsked
from auth_service_client.own_account import OwnAccount
from auth_service_client.protocol import PATIENCE, USER_AGENT, OnChange, SessionProtocol
from auth_service_client.service_url import checked
from auth_service_client.signing_in import SigningIn
from auth_service_client.steps import Answer, Ask, Flow, Keep, Result, Step, add, sendable
from auth_service_client.stores import AsyncStore, MemoryStore, Saved, Store


class AsyncAuthClient(SigningIn, OwnAccount):
    """`AuthClient` for asynchronous code: it takes, does and raises the same.

    But `http` is an `httpx2.AsyncClient`, `store` may be an `AsyncStore`, and methods are coroutines.
    """

    def __init__(
        self,
        url: str,
        store: Store | AsyncStore | None = None,
        http: httpx2.AsyncClient | None = None,
        patience: float = PATIENCE,
        *,
        on_change: OnChange | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        plain_http: bool = False,
    ) -> None:
        self._url = checked(url, plain_http=plain_http)
        self._store = store if store is not None else MemoryStore()
        self._http = http or httpx2.AsyncClient(headers={"User-Agent": USER_AGENT})
        self._is_own = http is None
        self._session = SessionProtocol(patience, on_change)
        self._headers = sendable(headers or {})
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the session stays."""
        if self._is_own:
            await self._http.aclose()

    async def access_token(self, refused: str | None = None) -> str:
        """Return an access token that is good for a while; `refused` is one that an API has refused.

        Tasks wait for each other's refresh, for as long as one may take; without that the service still answers all.
        """
        has_turn = await self._takes_turn()
        try:
            return await self._run(self._session.access_token(refused))
        finally:
            if has_turn:
                self._turn.release()

    def bearer(self, step_up: Callable[[StepUpAsked], Awaitable[str | None]] | None = None) -> AsyncBearer:
        """Return what puts the session on the requests of an `httpx2.AsyncClient(auth=...)`."""
        return AsyncBearer(self, step_up)

    async def _takes_turn(self) -> bool:
        try:
            async with asyncio.timeout(self._session.patience):
                return await self._turn.acquire()
        except TimeoutError:
            return False

    def _method(self, flow: Callable[..., Flow[Result]]) -> Callable[..., Coroutine[Any, Any, Result]]:
        @functools.wraps(flow.__get__(self))
        async def call(*given: Any, **named: Any) -> Result:
            return await self._run(flow(self, *given, **named))

        return call

    async def _run(self, flow: Flow[Result]) -> Result:
        came_of_it: object = None
        while True:
            try:
                step = flow.send(came_of_it)
            except StopIteration as end:
                result: Result = end.value
                return result
            came_of_it = await self._do(step)

    async def _do(self, step: Step) -> object:
        if isinstance(step, Keep):
            return await self._keep(step)
        if isinstance(step, Ask):
            return await self._ask(step)
        await asyncio.sleep(step.seconds)
        return None

    async def _keep(self, step: Keep) -> object:
        opened = self._store.open()
        if isinstance(opened, AbstractAsyncContextManager):
            async with opened as saved:
                return step.change(saved)
        if isinstance(self._store, MemoryStore):
            return _keep(opened, step)
        return await asyncio.to_thread(_keep, opened, step)  # it waits for a disk, or for other processes

    async def _ask(self, ask: Ask) -> Answer | httpx2.HTTPError:
        asked_at = time.time()
        try:
            async with asyncio.timeout(ask.within):  # in all: the other one is for each part of an answer alone
                async with self._http.stream(
                    ask.method, self._url + ask.path, json=ask.body, headers=ask.headers_with(self._headers),
                    timeout=ask.within, auth=None, follow_redirects=False,
                ) as response:  # fmt: skip
                    body = bytearray()
                    async for part in response.aiter_bytes():
                        add(body, part)
                    return Answer(response, body, asked_at)
        except httpx2.HTTPError as error:
            return error
        except TimeoutError:
            return httpx2.ReadTimeout("the answer is too slow")


def _keep(opened: AbstractContextManager[Saved], step: Keep) -> object:
    with opened as saved:
        return step.change(saved)
