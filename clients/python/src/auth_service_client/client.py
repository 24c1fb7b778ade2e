"""The client for synchronous code; any number of threads may share one."""

import functools
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from auth_service_client.bearer import Bearer, StepUpAsked
from auth_service_client.own_account import OwnAccount
from auth_service_client.protocol import PATIENCE, USER_AGENT, OnChange, SessionProtocol
from auth_service_client.service_url import checked
from auth_service_client.signing_in import SigningIn
from auth_service_client.steps import Answer, Ask, Flow, Keep, Result, Step, add, sendable
from auth_service_client.stores import MemoryStore, Store


class AuthClient(SigningIn, OwnAccount):
    """Signs one user in, and keeps the session: what it can do is in `SigningIn` and `OwnAccount`.

    `url` is that of the service, `store` is where the session is kept (in memory unless given), and `http` is what
    sends the requests; it is yours to close. `patience` is how many seconds a call for an access token may take while
    the service does not answer. `on_change` is called when this client sees that the user is signed in (or has a new
    session, as after a change of the password), that the tokens were renewed, or that nobody is signed in any more, by
    this process or another. `headers` are sent with every request to the service, such as those about the user's own
    device that a back end passes on. `plain_http` allows `http://` to another machine, for a back end whose network is
    its own, such as that of a cluster.

    Raises:
        ValueError: the URL is none of a service, or `http://` to another machine, where passwords could be read; or a
            header cannot be sent; or `on_change` is an `async` function, which nothing would wait for.
    """

    def __init__(
        self,
        url: str,
        store: Store | None = None,
        http: httpx2.Client | None = None,
        patience: float = PATIENCE,
        *,
        on_change: OnChange | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        plain_http: bool = False,
    ) -> None:
        self._url = checked(url, plain_http=plain_http)
        self._store = store if store is not None else MemoryStore()
        self._http = http or httpx2.Client(headers={"User-Agent": USER_AGENT})
        self._is_own = http is None
        self._session = SessionProtocol(patience, on_change)
        self._headers = sendable(headers or {})
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the session stays."""
        if self._is_own:
            self._http.close()

    def access_token(self, refused: str | None = None) -> str:
        """Return an access token that is good for a while; `refused` is one that an API has refused.

        Threads wait for each other's refresh, for as long as one may take; without that the service still answers all.
        """
        has_turn = self._turn.acquire(timeout=self._session.patience)
        try:
            return self._run(self._session.access_token(refused))
        finally:
            if has_turn:
                self._turn.release()

    def bearer(self, step_up: Callable[[StepUpAsked], str | None] | None = None) -> Bearer:
        """Return what puts the session on the requests of an `httpx2.Client(auth=...)`."""
        return Bearer(self, step_up)

    def _method(self, flow: Callable[..., Flow[Result]]) -> Callable[..., Result]:
        @functools.wraps(flow.__get__(self))
        def call(*given: Any, **named: Any) -> Result:
            return self._run(flow(self, *given, **named))

        return call

    def _run(self, flow: Flow[Result]) -> Result:
        came_of_it: object = None
        while True:
            try:
                step = flow.send(came_of_it)
            except StopIteration as end:
                result: Result = end.value
                return result
            came_of_it = self._do(step)

    def _do(self, step: Step) -> object:
        if isinstance(step, Keep):
            with self._store.open() as saved:
                return step.change(saved)
        if isinstance(step, Ask):
            return self._ask(step)
        time.sleep(step.seconds)
        return None

    def _ask(self, ask: Ask) -> Answer | httpx2.HTTPError:
        asked_at, give_up_at = time.time(), time.monotonic() + ask.within
        try:
            with self._http.stream(
                ask.method, self._url + ask.path, json=ask.body, headers=ask.headers_with(self._headers),
                timeout=ask.within, auth=None, follow_redirects=False,
            ) as response:  # fmt: skip
                return Answer(response, _body(response, give_up_at), asked_at)
        except httpx2.HTTPError as error:
            return error


def _body(response: httpx2.Response, give_up_at: float) -> bytearray:
    """All of it: `timeout` is for each part of it alone, and there may be any number of parts."""
    body = bytearray()
    for part in response.iter_bytes():
        if time.monotonic() > give_up_at:
            raise httpx2.ReadTimeout("the answer is too slow")
        add(body, part)
    return body
