"""What no well-behaved client sends, on the sockets of a real server: endless, slow, broken and ambiguous requests."""

import asyncio
import contextlib
import socket
import time

import psutil
import pytest

from tests.support.problems import assert_problem
from tests.support.raw_http import connection, exchange, is_closed, read_answer
from tests.support.server import Server

HOST = b"Host: auth.example\r\n"
POST = b"POST /auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\n" + HOST

# Clients that take for ever: how they begin, and whether a byte follows every half second.
SLOW_CLIENTS = {
    "says nothing": (b"", False),
    "drips a header": (GET + b"X-Slow: ", True),
    "drips a body": (POST + b"Content-Length: 1000\r\n\r\n", True),
    "drips a body that nobody reads": (b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n", True),
    "stays after an answer": (GET + b"\r\n", False),
}


def test_a_declared_body_that_is_too_long_is_refused_before_it_arrives(server: Server) -> None:
    for path in (b"/auth/login", b"/auth/me", b"/nowhere"):
        request = b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n"
        answer = exchange(server.port, request)
        assert_problem(answer, 413, "body-too-large")
        assert answer.headers["connection"] == "close"


def test_a_chunked_body_without_an_end_is_refused_and_the_connection_closed(server: Server) -> None:
    with connection(server.port) as opened:
        opened.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(17):
            opened.sendall(b"400\r\n" + b"[" * 1024 + b"\r\n")
        assert_problem(read_answer(opened), 413, "body-too-large")
        assert is_closed(opened)


@pytest.mark.parametrize(
    "lines",
    [
        b"X-Long: " + b"x" * 70_000 + b"\r\n",
        b"X: y\r\n" * 101,
        b"X: y\r\n" * 5_000,
        b"X-Half: " + b"x" * 17_000 + b"\r\n",
    ],
    ids=["70 KB in one line", "over 100 lines", "5,000 lines", "17 KB in one line"],
)
def test_headers_beyond_the_limits_are_refused(server: Server, lines: bytes) -> None:
    answer = exchange(server.port, b"GET /auth/me HTTP/1.1\r\n" + HOST + lines + b"\r\n")
    assert_problem(answer, 431, "headers-too-large")
    assert answer.headers["connection"] == "close"


def test_a_head_without_an_end_is_refused_before_it_fills_the_memory(server: Server) -> None:
    for beginning in (b"GET /auth/me HTTP/1.1\r\nX: ", b"GET /"):
        before = psutil.Process(server.pid).memory_info().rss
        with connection(server.port) as opened:
            assert _send_until_cut_off(opened, beginning, 100 * 1024 * 1024)
        assert psutil.Process(server.pid).memory_info().rss - before < 10 * 1024 * 1024


def test_a_broken_request_is_a_problem_too(server: Server) -> None:
    for broken in (
        b"GARBAGE\r\n\r\n",
        b"GET /\xe4 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nA\x00: b\r\n\r\n",
    ):
        assert_problem(exchange(server.port, broken), 400, "bad-request")


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +2\r\n",
    ],
)
def test_request_smuggling_by_ambiguous_framing_is_a_400_and_the_end(server: Server, framing: bytes) -> None:
    with connection(server.port) as opened:
        opened.sendall(POST + framing + b"\r\n{}")
        assert_problem(read_answer(opened), 400, "bad-request")
        assert is_closed(opened)


@pytest.fixture(scope="module")
def cut_off(server: Server) -> dict[str, tuple[float, bytes]]:
    """For each slow client, all of them at the same time: after how many seconds it was cut off, and what it read."""

    async def run_all() -> list[tuple[float, bytes]]:
        return await asyncio.gather(*(_be_slow(server.port, *client) for client in SLOW_CLIENTS.values()))

    return dict(zip(SLOW_CLIENTS, asyncio.run(run_all()), strict=True))


def test_a_slow_body_is_a_408_within_15_seconds(cut_off: dict[str, tuple[float, bytes]]) -> None:
    seconds, answer = cut_off["drips a body"]
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request-timeout"' in answer
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer
    assert seconds < 15


@pytest.mark.parametrize("client", SLOW_CLIENTS)
def test_a_client_that_keeps_a_connection_for_ever_is_cut_off(
    cut_off: dict[str, tuple[float, bytes]], client: str
) -> None:
    seconds, _answer = cut_off[client]
    assert seconds < 20


def test_requests_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    names = [b"first", b"second", b"third"]
    with connection(server.port) as opened:
        opened.sendall(b"".join(GET + b"X-Request-ID: %b\r\n\r\n" % name for name in names))
        opened.sendall(GET + b"Connection: close\r\n\r\n")
        answers = opened.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4
    positions = [answers.index(b"x-request-id: %b\r\n" % name) for name in names]
    assert positions == sorted(positions)


async def _be_slow(port: int, beginning: bytes, drips: bool) -> tuple[float, bytes]:
    """Be such a client until the server hangs up, for 40 seconds at most."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    writer.write(beginning)
    reading = asyncio.create_task(_read_all(reader))
    while not reading.done() and time.monotonic() < started + 40:
        if drips:
            writer.write(b"x")
        await asyncio.wait({reading}, timeout=0.5)
    seconds = time.monotonic() - started
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return seconds, await reading


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionError):  # hung up on with bytes of ours on their way
        while piece := await reader.read(4096):
            found += piece
    return found


def _send_until_cut_off(opened: socket.socket, beginning: bytes, most: int) -> bool:
    """Send so much of a head; True if the server hangs up before it is through."""
    try:
        opened.sendall(beginning)
        for _ in range(most // 65_536):
            opened.sendall(b"x" * 65_536)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False
