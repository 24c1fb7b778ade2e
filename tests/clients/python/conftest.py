"""Both clients in the same clothes, so that each test is about both."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from auth_service_client import AuthClient, Store

from auth_service.testing.double import Double
from tests.support.python_client import MakeAuth, Waiting, sign_in


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


@pytest.fixture
def auth(make_auth: MakeAuth) -> Any:
    """A client with a session in memory."""
    made = make_auth()
    sign_in(made)
    return made
