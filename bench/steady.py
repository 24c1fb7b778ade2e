"""A steady load of refreshes at a fixed rate, each of another session, over connections that are kept alive."""

import asyncio
import itertools
import re
from collections.abc import Iterator

from bench.exchanges import VALUE, post
from bench.load import Sample

CONNECTIONS = 32
PATIENCE = 30.0  # seconds for one answer
_REFRESH = post("/auth/refresh", {"refresh_token": VALUE})
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_REFUSED = re.compile(rb'"code": ?"([^"]+)"')


class SteadyRefreshes:
    """Takes the tokens one by one, so there must be enough of them, for all its runs."""

    def __init__(self, port: int, tokens: Iterator[str], rate: float) -> None:
        self._port = port
        self._tokens = tokens
        self._rate = rate

    async def run(self, stop: asyncio.Event) -> Sample:
        """Refresh `rate` times a second until the event is set."""
        sample, began = Sample(), asyncio.get_running_loop().time()
        due = (began + place / self._rate for place in itertools.count())
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(self._work(due, stop, sample))
        return sample

    async def _work(self, times: Iterator[float], stop: asyncio.Event, sample: Sample) -> None:
        """Do one refresh after the other. Its time counts from when it was due: a stall is seen by all who wait."""
        clock = asyncio.get_running_loop().time
        connection: _Connection | None = None
        for due in times:
            if await _is_set_within(due - clock(), stop):
                break
            try:
                connection = connection or await _Connection.open(self._port)
                async with asyncio.timeout(PATIENCE):
                    failure = await connection.refresh(next(self._tokens))
            except (OSError, EOFError) as error:
                failure, connection = type(error).__name__, None
            sample.seconds.append(clock() - due)
            if failure:
                sample.failures.append(failure)
        if connection:
            connection.close()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "_Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def refresh(self, token: str) -> str | None:
        """Send it and wait for the answer; return the reason if it was refused."""
        self._writer.write(_REFRESH.render(token))
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        if head.startswith(b"HTTP/1.1 200"):
            return None
        code = _REFUSED.search(body)
        return head[9:12].decode() + (f" {code[1].decode()}" if code else "")

    def close(self) -> None:
        self._writer.close()


async def _is_set_within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
