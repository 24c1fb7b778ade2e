"""Between SIGTERM and the end: the process says that it is to go, and serves on until its gateways have seen it."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

log = structlog.get_logger()


@contextmanager
def delay_sigterm(wait: timedelta, tell: Callable[[], None]) -> Iterator[None]:
    """For the length of the block: at SIGTERM call `tell`, and do what SIGTERM did before when `wait` is over.

    A second SIGTERM is obeyed at once. Does nothing where only the system handles the signal.
    """
    before = signal.getsignal(signal.SIGTERM)
    if not wait or not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def begin() -> None:
        log.info("service.draining", seconds=wait.total_seconds())
        tell()
        loop.call_later(wait.total_seconds(), signal.raise_signal, signal.SIGTERM)

    def put_off(*_: object) -> None:
        signal.signal(signal.SIGTERM, before)
        loop.call_soon_threadsafe(begin)

    signal.signal(signal.SIGTERM, put_off)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
