"""The Python client in tests: the asynchronous one in the clothes of the other, and a sign-in."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from auth_service_client import AsyncAuthClient

from .client import PASSWORD

MakeAuth = Callable[..., Any]


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


def sign_in(auth: Any) -> str:
    """Register an account, sign it in, and return its address."""
    email = f"{uuid4().hex}@example.com"
    auth.sign_up(email, PASSWORD)
    auth.sign_in(PASSWORD, email=email)
    return email
