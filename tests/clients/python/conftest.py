"""Both clients in the same clothes, so that each test is about both."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from auth_service_client import AsyncAuthClient, AuthClient, Store

from auth_service.testing.double import Double
from tests.support.client import PASSWORD


class Waiting:
    """An asynchronous client whose methods wait for their end, in a loop of their own."""

    def __init__(self, runner: asyncio.Runner, *given: Any) -> None:
        self._runner = runner
        self._client = AsyncAuthClient(*given)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        @functools.wraps(method)
        def call(*given: Any, **named: Any) -> Any:
            came = method(*given, **named)
            return self._runner.run(came) if inspect.iscoroutine(came) else came

        return call


MakeAuth = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def make_auth(request: pytest.FixtureRequest, auth_double: Double) -> Iterator[MakeAuth]:
    """Makes clients of the double, each with the store that is given, or one of its own in memory."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def make(store: Store | None = None, url: str = auth_double.url) -> Any:
            auth = AuthClient(url, store) if request.param == "sync" else Waiting(runner, url, store)
            stack.callback(auth.close)
            return auth

        yield make


def sign_in(auth: Any) -> str:
    """Register an account, sign it in, and return its address."""
    email = f"{uuid4().hex}@example.com"
    auth.sign_up(email, PASSWORD)
    auth.sign_in(PASSWORD, email=email)
    return email


@pytest.fixture
def auth(make_auth: MakeAuth) -> Any:
    """A client with a session in memory."""
    made = make_auth()
    sign_in(made)
    return made
