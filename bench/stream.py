"""As many requests as an HTTP server answers: each connection sends the next one when it has its answer."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

CONNECTIONS = 16
_CLOSE = re.compile(rb"\r\n[Cc]onnection: *close")
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")


class NotGrantedError(RuntimeError):
    """An answer was not a 200; the text is its first line."""


@dataclass(frozen=True)
class Sample:
    """What one stretch of load saw: answers, seconds, and the CPU seconds of the processes that were watched."""

    answers: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.answers / self.cpu


class _Connection(asyncio.Protocol):
    def __init__(self, port: int, requests: Sequence[bytes], start: int) -> None:
        self._port, self._requests, self._next = port, requests, start
        self._opening: asyncio.Task[None] | None = None
        self._data = b""
        self.answers = 0
        self.stopped = False
        self.error: str | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # as asyncio calls it
        self._send()

    def _send(self) -> None:
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(body) < int(length[1] if length else 0):
            return
        self._data = b""
        self.answers += 1
        if not head.startswith(b"HTTP/1.1 200"):
            self.error = head.splitlines()[0].decode()
        if self.stopped or self.error or _CLOSE.search(head):
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.stopped or self.error or exc:
            self.error = self.error or (str(exc) if exc else None)
            self.done.set_result(None)
        else:  # nginx closes a connection after its thousandth request
            self._opening = asyncio.get_running_loop().create_task(self.open())


def drive(port: int, requests: Sequence[bytes], seconds: float, watched: Sequence[int]) -> Sample:
    """Send the requests in turn, on 16 connections, for so long; `watched` are process ids.

    Raises:
        NotGrantedError: an answer was not a 200.
    """
    processes = [psutil.Process(pid) for pid in watched]
    return asyncio.run(_drive(port, requests, seconds, processes))


async def _drive(port: int, requests: Sequence[bytes], seconds: float, processes: list[psutil.Process]) -> Sample:
    before, started = _cpu(processes), time.perf_counter()
    connections = [_Connection(port, requests, number) for number in range(CONNECTIONS)]
    for connection in connections:
        await connection.open()
    await asyncio.sleep(seconds)
    for connection in connections:
        connection.stopped = True
    await asyncio.gather(*(connection.done for connection in connections))
    elapsed, cpu = time.perf_counter() - started, _cpu(processes) - before
    for connection in connections:
        if connection.error:
            raise NotGrantedError(connection.error)
    return Sample(sum(connection.answers for connection in connections), elapsed, cpu)


def _cpu(processes: list[psutil.Process]) -> float:
    """CPU seconds so far, of the processes and of their children that live."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
