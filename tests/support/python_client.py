"""The Python client in tests: the asynchronous one in the clothes of the other, services for both, and a sign-in."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from auth_service_client import AsyncAuthClient

from .client import PASSWORD
from .link_mails import LinkMails

MakeAuth = Callable[..., Any]


@dataclass
class Service:
    """Where it is, and the token of the next mail to somebody with a link to a page; the double sends no mail."""

    url: str
    link: Callable[[str, str], str] | None = None


class Waiting:
    """An asynchronous client whose methods wait for their end, in a loop of their own."""

    def __init__(self, runner: asyncio.Runner, *given: Any, **named: Any) -> None:
        self._runner = runner
        self._client = AsyncAuthClient(*given, **named)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        @functools.wraps(method)
        def call(*given: Any, **named: Any) -> Any:
            came = method(*given, **named)
            return self._runner.run(came) if inspect.iscoroutine(came) else came

        return call


def sign_in(auth: Any) -> str:
    """Register an account, sign it in, and return its address."""
    email = f"{uuid4().hex}@example.com"
    auth.sign_up(email, PASSWORD)
    auth.sign_in(PASSWORD, email=email)
    return email


@contextmanager
def links_of_mails() -> Iterator[tuple[int, Callable[[str, str], str]]]:
    """A mail server in a thread of its own, for tests that are no coroutines: its port, and `Service.link`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    serving = LinkMails.start()
    try:
        mails = wait(serving.__aenter__())
        yield mails.server.port, lambda email, page: wait(mails.token(email, page))
        wait(serving.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def age(store: Any, seconds: float = 3600) -> None:
    """Let so much time have passed since the tokens were kept, by the client's clock."""
    with store.open() as saved:
        saved["issued_at"] -= seconds
