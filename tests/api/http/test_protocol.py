"""What no well-behaved client sends, on the sockets of a real server: endless and broken requests."""

import re
import socket
import time
from contextlib import suppress

import httpx
import psutil
import pytest

from auth_service.api.http.connections.lingering import LINGER_SECONDS
from auth_service.api.http.connections.protocol import MESSAGE_BYTES
from tests.support.problems import assert_problem
from tests.support.raw_http import PATIENCE, connection, exchange, is_closed, read_answer
from tests.support.server import Server, wait_until

HOST = b"Host: auth.example\r\n"
POST = b"POST /auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\n" + HOST


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
    ("beginning", "piece", "status"),
    [
        (POST + b"Content-Length: 3000000\r\n\r\n", b"x" * 20_000, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2dc6c0\r\n", b"x" * 20_000, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 10_000 + b"\r\n \r\n", 413),
        (b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 3000000\r\n\r\n", b"x" * 20_000, 413),
        (b"GET /auth/me HTTP/1.1\r\n" + HOST + b"X-Long: ", b"x" * 20_000, 431),
        (b"GARBAGE\r\n\r\n", b"x" * 20_000, 400),
    ],
    ids=["declared", "in one chunk", "in small chunks", "to no route", "in a header", "after no request"],
)
def test_who_sends_three_megabytes_before_reading_reads_the_refusal(
    server: Server, beginning: bytes, piece: bytes, status: int
) -> None:
    """A socket that is closed with bytes unread is reset, and what the client has not read yet is lost."""
    for _ in range(10):
        with connection(server.port) as opened:
            opened.sendall(beginning)
            for _ in range(3_000_000 // len(piece)):
                opened.sendall(piece)
            answer = read_answer(opened)
            assert (answer.status, answer.headers["connection"]) == (status, "close")
            assert is_closed(opened)
    assert '"level":"error"' not in server.log().replace(" ", "")


@pytest.mark.parametrize("size", [17_000, 200_000, 3_000_000])
def test_an_ordinary_client_that_sends_a_large_body_in_chunks_reads_the_refusal(server: Server, size: int) -> None:
    for _ in range(8):
        with httpx.Client(base_url=server.base_url, trust_env=False, timeout=30) as client:
            chunks = (b"x" * 1000 for _ in range(size // 1000))
            answer = client.post("/auth/login", headers={"Content-Type": "application/json"}, content=chunks)
            assert_problem(answer, 413, "body-too-large")


def test_the_app_is_told_at_once_that_a_request_is_given_up(server: Server) -> None:
    """The client stays and has not been answered by the app, which waits for the rest of the body."""
    with connection(server.port) as opened:
        opened.sendall(POST + b"X-Request-ID: given-up\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(MESSAGE_BYTES // 10_000 + 1):
            opened.sendall(b"1;" + b"x" * 10_000 + b"\r\n \r\n")
        assert_problem(read_answer(opened), 413, "body-too-large")
        wait_until(
            lambda: bool(re.search(r"499.*given-up|given-up.*499", server.log())), LINGER_SECONDS / 2, server.log
        )


def test_who_sends_on_after_the_last_answer_is_cut_off(server: Server) -> None:
    """By the bytes, and by the time."""
    for declared in (POST + b"Content-Length: 99999999999\r\n\r\n", b"GARBAGE\r\n\r\n"):
        with connection(server.port) as opened:
            assert _send_until_cut_off(opened, declared, 100 * 1024 * 1024)
    with connection(server.port) as opened:
        opened.sendall(declared)
        assert read_answer(opened).headers["connection"] == "close"
        assert is_closed(opened)  # for writing alone
        assert _drip_until_cut_off(opened) < LINGER_SECONDS + 2


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


@pytest.mark.parametrize("size", [65_537, 65_560, 70_000, 131_072, 200_000, 400_000])
@pytest.mark.parametrize("piece", [1_000, 1_000_000], ids=["in pieces", "at once"])
def test_a_request_line_over_64_kib_is_refused_like_large_headers(server: Server, size: int, piece: int) -> None:
    for start in (b"GET /", b"GET /health/live?", b"POST /auth/login?x=%ff", b"DELETE /auth/me#", b"GET //x/"):
        line = start + b"x" * (size - len(start) - 9) + b" HTTP/1.1"
        request = line + b"\r\n" + HOST + b"\r\n"
        with connection(server.port) as opened:
            with suppress(ConnectionError):  # hung up on, which the answer tells as well
                for position in range(0, len(request), piece):
                    opened.sendall(request[position : position + piece])
            answer = read_answer(opened)
        assert_problem(answer, 431, "headers-too-large")
        assert "request line may have at most 64 KiB" in answer.json()["detail"]
        assert answer.headers["connection"] == "close"
    assert "Traceback" not in server.log()


def test_a_long_request_line_below_that_is_read(server: Server) -> None:
    for start, status in ((b"GET /health/live?", 200), (b"GET /", 404)):
        assert exchange(server.port, start + b"x" * 65_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n").status == status


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


def test_requests_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    names = [b"first", b"second", b"third"]
    with connection(server.port) as opened:
        opened.sendall(b"".join(GET + b"X-Request-ID: %b\r\n\r\n" % name for name in names))
        opened.sendall(GET + b"Connection: close\r\n\r\n")
        answers = opened.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4
    positions = [answers.index(b"x-request-id: %b\r\n" % name) for name in names]
    assert positions == sorted(positions)


def _drip_until_cut_off(opened: socket.socket) -> float:
    """Send a byte now and then; the seconds until the server has hung up."""
    started = time.monotonic()
    try:
        while time.monotonic() < started + PATIENCE:
            opened.sendall(b"x")
            time.sleep(0.1)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return time.monotonic() - started


def _send_until_cut_off(opened: socket.socket, beginning: bytes, most: int) -> bool:
    """Send so much of a head; True if the server hangs up before it is through."""
    try:
        opened.sendall(beginning)
        for _ in range(most // 65_536):
            opened.sendall(b"x" * 65_536)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False
