"""SIGTERM for a command that has something to give back, as asyncio does it for Ctrl-C: its work is cancelled first."""

import asyncio
import atexit
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Work = Callable[Arguments, Coroutine[Any, Any, Result]]


def ended_by_sigterm(work: Work[Arguments, Result]) -> Work[Arguments, Result]:
    """Cancel the work at SIGTERM, and end by that signal after its `finally`. A second one is obeyed at once."""

    async def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
            return await work(*args, **kwargs)
        loop, task, was_told = asyncio.get_running_loop(), asyncio.create_task(work(*args, **kwargs)), False

        def end() -> None:
            nonlocal was_told
            was_told = True
            loop.remove_signal_handler(signal.SIGTERM)  # the system's way again
            task.cancel()

        loop.add_signal_handler(signal.SIGTERM, end)
        try:
            return await task
        except asyncio.CancelledError:
            if not was_told:
                raise
            atexit.register(signal.raise_signal, signal.SIGTERM)  # once everything is closed
            sys.exit(128 + signal.SIGTERM)  # for the first process of a container, which the signal does not end
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    return run
