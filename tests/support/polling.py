"""Waiting for something to become true, with an end to it, for tests that are coroutines."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(ask: Callable[..., Awaitable[Any]], *arguments: Any, seconds: float = 10) -> None:
    """Call `ask` with the arguments again and again until it returns something true; TimeoutError after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        if await ask(*arguments):
            return
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"{ask} {arguments} did not become true within {seconds} s")
        await asyncio.sleep(0.02)
