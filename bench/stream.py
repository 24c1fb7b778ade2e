"""As many requests as an HTTP server answers: each connection sends the next one when it has its answer."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import uvloop

from bench.cpu import cpu_seconds

CONNECTIONS = 16
PATIENCE = 60.0  # seconds beyond the stretch, until every answer is there
_CLOSE = re.compile(rb"\r\n[Cc]onnection: *close")
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
_CHUNKED = re.compile(rb"\r\n[Tt]ransfer-[Ee]ncoding: *chunked")
# Takes a request's place in the list, itself and its answer; returns what to send in its place, None for nothing more.
Then = Callable[[int, bytes, bytes], bytes | None]


class NotGrantedError(RuntimeError):
    """An answer had another status than is wanted, or did not come; the text is its first line, or what happened."""


@dataclass(frozen=True)
class Sample:
    """What one stretch of load saw: the seconds of each answer and of all, and the CPU seconds of who was watched."""

    latencies: list[float]
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return len(self.latencies) / self.cpu


@dataclass
class _Run:
    port: int
    idle: deque[tuple[int, bytes]]
    then: Then
    granted: tuple[bytes, ...]
    in_turn: bool
    latencies: list[float] = field(default_factory=list)
    stopped: bool = False
    error: str | None = None


class _Connection(asyncio.Protocol):
    """One connection, opened again when the server closes it. A request is out once at a time."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._opening: asyncio.Task[None] | None = None
        self._data = b""
        self._out: tuple[int, bytes] | None = None
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._run.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # as asyncio calls it
        self._send()

    def _send(self) -> None:
        if self._is_over():
            self._transport.close()
            return
        self._out = self._run.idle.popleft()
        self._sent = time.perf_counter()
        self._transport.write(self._out[1])

    def _is_over(self) -> bool:
        return self._run.stopped or self._run.error is not None or not self._run.idle

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found or not _is_whole(head, body):
            return
        self._take(self._data)
        self._data = b""
        if _CLOSE.search(head):
            self._transport.close()
        else:
            self._send()

    def _take(self, answer: bytes) -> None:
        assert self._out
        (number, request), self._out = self._out, None
        self._run.latencies.append(time.perf_counter() - self._sent)
        if not answer.startswith(self._run.granted):
            self._run.error = answer.splitlines()[0].decode()
            return
        try:
            following = self._run.then(number, request, answer)
        except NotGrantedError as error:
            self._run.error = str(error)
            return
        if following is not None:
            add = self._run.idle.append if self._run.in_turn else self._run.idle.appendleft
            add((number, following))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._out:
            self._run.error = self._run.error or f"the connection was lost: {exc}"
        if self._is_over():
            self.done.set_result(None)
        else:  # nginx closes a connection after its thousandth request
            self._opening = asyncio.get_running_loop().create_task(self.open())


def drive(
    port: int,
    requests: Sequence[bytes],
    seconds: float,
    watched: Sequence[int],
    *,
    connections: int = CONNECTIONS,
    then: Then = lambda _number, request, _answer: request,
    granted: Sequence[str] = ("2",),
    in_turn: bool = True,
) -> Sample:
    """Send the requests in turn for so long, or until `then` has nothing more to send.

    `watched` are process ids; their descendants count too. `granted` is how the statuses begin that are wanted.
    What `then` returns is sent when it is its turn, or else at once.

    Raises:
        NotGrantedError: an answer had another status, or a connection was lost.
    """
    heads = tuple(f"HTTP/1.1 {status}".encode() for status in granted)
    run = _Run(port, deque(enumerate(requests)), then, heads, in_turn)
    return uvloop.run(_drive(run, seconds, watched, min(connections, len(requests))))


async def _drive(run: _Run, seconds: float, watched: Sequence[int], connections: int) -> Sample:
    opened = [_Connection(run) for _ in range(connections)]
    before, started = cpu_seconds(watched), time.perf_counter()
    for connection in opened:
        await connection.open()
    done = asyncio.gather(*(connection.done for connection in opened))
    await asyncio.wait([done], timeout=seconds)
    run.stopped = True
    await asyncio.wait_for(done, PATIENCE)
    elapsed, cpu = time.perf_counter() - started, cpu_seconds(watched) - before
    if run.error:
        raise NotGrantedError(run.error)
    return Sample(run.latencies, elapsed, cpu)


def _is_whole(head: bytes, body: bytes) -> bool:
    if length := _LENGTH.search(head):
        return len(body) >= int(length[1])
    return not _CHUNKED.search(head) or body.endswith(b"0\r\n\r\n")
