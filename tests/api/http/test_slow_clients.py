"""Clients that take for ever, on the sockets of a real server. All of them are slow at the same time, in one wait."""

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from tests.support.client import Client
from tests.support.polling import eventually
from tests.support.server import Server

HOST = b"Host: auth.example\r\n"
POST = b"POST /auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\n" + HOST
LARGE = (
    b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\n" + HOST + b"\r\n"
)  # 1.4 MB; 15 are more than kernels buffer
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

# How they begin, and whether a byte follows every half second.
SLOW_CLIENTS = {
    "says nothing": (b"", False),
    "drips a header": (GET + b"X-Slow: ", True),
    "drips a body": (POST + b"Content-Length: 1000\r\n\r\n", True),
    "drips a body that nobody reads": (b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n", True),
    "drips a trailer": (POST + CHUNKED + b"2\r\n{}\r\n0\r\nX-Slow: ", True),
    "stays after an answer": (GET + b"\r\n", False),
    "stays after a refusal": (b"GARBAGE\r\n\r\n", False),
}
NEVER_READS = "never reads its answers"
CROWD = 150  # clients that say nothing, beside those above
ENOUGH = 40  # seconds after which a client gives up being slow
IN_TIME = 20  # 15 are promised, the rest is for a busy machine


@dataclass(frozen=True)
class Siege:
    """For each slow client when it was cut off, in seconds, and what it had read; and what others met meanwhile."""

    cut_off: dict[str, tuple[float, bytes]]
    crowd: list[tuple[float, bytes]]
    waits: list[float]


@pytest.fixture(scope="module")
def siege(server: Server) -> Siege:
    async def besiege() -> Siege:
        crowd = [asyncio.create_task(_be_slow(server.port, b"", drips=False)) for _ in range(CROWD)]
        clients = {name: asyncio.create_task(_be_slow(server.port, *it)) for name, it in SLOW_CLIENTS.items()}
        clients[NEVER_READS] = asyncio.create_task(_never_read(server))
        waits = await _use_the_service(server, until=asyncio.gather(*crowd, *clients.values()))
        return Siege({name: task.result() for name, task in clients.items()}, [task.result() for task in crowd], waits)

    return asyncio.run(besiege())


@pytest.mark.parametrize("client", [*SLOW_CLIENTS, NEVER_READS])
def test_slowloris_is_cut_off_within_15_seconds(siege: Siege, client: str) -> None:
    seconds, _answer = siege.cut_off[client]
    assert seconds < IN_TIME


def test_a_slow_body_is_a_408(siege: Siege) -> None:
    for client in ("drips a body", "drips a trailer"):
        _seconds, answer = siege.cut_off[client]
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"request-timeout"' in answer
        assert b"application/problem+json" in answer
        assert b"connection: close" in answer


def test_a_crowd_of_slow_clients_delays_nobody(siege: Siege) -> None:
    assert max(seconds for seconds, _ in siege.crowd) < IN_TIME
    assert len(siege.waits) > 5
    assert sorted(siege.waits)[len(siege.waits) // 2] < 1


async def _use_the_service(server: Server, until: asyncio.Future[Any]) -> list[float]:
    """Sign in again and again on fresh connections, and return how long each took; each must work."""
    waits: list[float] = []
    names = [f"siege{number}@example.com" for number in range(3)]
    async with Client(base_url=server.base_url, trust_env=False, timeout=15) as client:
        for name in names:  # one account may sign in no more than sixty times a minute
            await client.register(name)
    while not until.done():
        started = time.monotonic()
        async with Client(base_url=server.base_url, trust_env=False, timeout=15) as client:
            await client.sign_in(names[len(waits) % len(names)])
        waits.append(time.monotonic() - started)
        await asyncio.sleep(0.1)
    return waits


async def _be_slow(port: int, beginning: bytes, drips: bool) -> tuple[float, bytes]:
    """Be such a client until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    writer.write(beginning)
    reading = asyncio.create_task(_read_all(reader))
    while not reading.done() and time.monotonic() < started + ENOUGH:
        if drips:
            writer.write(b"x")
        await asyncio.wait({reading}, timeout=0.5)
    seconds = time.monotonic() - started
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return seconds, await reading


async def _never_read(server: Server) -> tuple[float, bytes]:
    """Ask for more than the kernel keeps, read none of it, and look from the server's side when that ends."""
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", server.port))
        opened.send(LARGE * 15)
        port, started = opened.getsockname()[1], time.monotonic()
        assert not await _has_let_go(server, port)
        with contextlib.suppress(TimeoutError):
            await eventually(_has_let_go, server, port, seconds=ENOUGH)
        return time.monotonic() - started, b""


async def _has_let_go(server: Server, port: int) -> bool:
    """Whether the server has no socket any more that is connected to this port."""
    await asyncio.sleep(0.5)
    connections = psutil.Process(server.pid).net_connections("tcp")
    return not any(found.raddr and found.raddr.port == port for found in connections)


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionError):  # hung up on with bytes of ours on their way
        while piece := await reader.read(4096):
            found += piece
    return found
