"""What no well-behaved client sends, on the sockets of a real server: endless and broken requests."""

import socket

import psutil
import pytest

from tests.support.problems import assert_problem
from tests.support.raw_http import connection, exchange, is_closed, read_answer
from tests.support.server import Server

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


def test_requests_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    names = [b"first", b"second", b"third"]
    with connection(server.port) as opened:
        opened.sendall(b"".join(GET + b"X-Request-ID: %b\r\n\r\n" % name for name in names))
        opened.sendall(GET + b"Connection: close\r\n\r\n")
        answers = opened.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4
    positions = [answers.index(b"x-request-id: %b\r\n" % name) for name in names]
    assert positions == sorted(positions)


def _send_until_cut_off(opened: socket.socket, beginning: bytes, most: int) -> bool:
    """Send so much of a head; True if the server hangs up before it is through."""
    try:
        opened.sendall(beginning)
        for _ in range(most // 65_536):
            opened.sendall(b"x" * 65_536)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False
