"""What runs a use case again whose transaction lost."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

from auth_service.database.errors import TransactionConflict

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
UseCase: TypeAlias = Callable[Arguments, Coroutine[Any, Any, Answer]]

PAUSE = (0.005, 0.05)  # seconds, the least and the most, before something is run again


def retried(use_case: UseCase[Arguments, Answer]) -> UseCase[Arguments, Answer]:
    """For a use case whose transaction lost a deadlock, a conflict or a lock: it is run again, at most twice."""

    @wraps(use_case)
    async def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        for _ in range(2):
            try:
                return await use_case(*args, **kwargs)
            except TransactionConflict:
                await pause()
        return await use_case(*args, **kwargs)

    return run


async def pause() -> None:
    """Wait a little before what has lost is run again: a random time, which spreads the crowd."""
    await asyncio.sleep(random.uniform(*PAUSE))  # noqa: S311  # no secret
