"""Puts a session on requests of any `httpx2` client, to this service or to an API that takes its tokens."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import httpx2

if TYPE_CHECKING:
    from auth_service_client.asynchronous import AsyncAuthClient
    from auth_service_client.client import AuthClient

_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class StepUpAsked:
    """An API wants to be surer who it is (RFC 9470): by one of `acr_values`, the weakest first, at most `max_age`
    seconds ago; either may be left open.
    """

    acr_values: tuple[str, ...]
    max_age: int | None


class Bearer(httpx2.Auth):
    """Sends the session's access token, and once more another one if an API has refused it.

    `step_up` is asked for a surer one where an API wants that: it returns what `step_up()` of the client does, or None
    to leave the answer as it is.
    """

    def __init__(self, auth: "AuthClient", step_up: Callable[[StepUpAsked], str | None] | None = None) -> None:
        self._auth = auth
        self._step_up = step_up

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.read()  # a stream could not be sent twice
        token = self._auth.access_token()
        answer = yield _with(request, token)
        if _is_refused(answer):
            answer = yield _with(request, self._auth.access_token(refused=token))
        asked = _step_up_of(answer)
        if asked and self._step_up and (surer := self._step_up(asked)):
            yield _with(request, surer)

    def async_auth_flow(self, request: httpx2.Request) -> NoReturn:
        raise TypeError("an asynchronous client needs the bearer() of an AsyncAuthClient")


class AsyncBearer(httpx2.Auth):
    """The same for asynchronous clients; `step_up` is a coroutine function."""

    def __init__(
        self, auth: "AsyncAuthClient", step_up: Callable[[StepUpAsked], Awaitable[str | None]] | None = None
    ) -> None:
        self._auth = auth
        self._step_up = step_up

    def sync_auth_flow(self, request: httpx2.Request) -> NoReturn:
        raise TypeError("a synchronous client needs the bearer() of an AuthClient")

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        await request.aread()  # a stream could not be sent twice
        token = await self._auth.access_token()
        answer = yield _with(request, token)
        if _is_refused(answer):
            answer = yield _with(request, await self._auth.access_token(refused=token))
        asked = _step_up_of(answer)
        if asked and self._step_up and (surer := await self._step_up(asked)):
            yield _with(request, surer)


def _with(request: httpx2.Request, token: str) -> httpx2.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _is_refused(answer: httpx2.Response) -> bool:
    """By RFC 6750, section 3.1; another 401 would not change with another token."""
    return answer.status_code == httpx2.codes.UNAUTHORIZED and _challenge(answer).get("error") == "invalid_token"


def _step_up_of(answer: httpx2.Response) -> StepUpAsked | None:
    said = _challenge(answer)
    if answer.status_code != httpx2.codes.UNAUTHORIZED or said.get("error") != "insufficient_user_authentication":
        return None
    max_age = said.get("max_age", "")
    return StepUpAsked(tuple(said.get("acr_values", "").split()), int(max_age) if max_age.isdecimal() else None)


def _challenge(answer: httpx2.Response) -> dict[str, str]:
    return dict(_PARAMETER.findall(answer.headers.get("WWW-Authenticate", "")))
