"""Offers to speak another protocol are ignored, and lose nothing (RFC 9110, section 7.8), on real sockets."""

import os
import re
import shutil
import socket
import subprocess

import pytest

from tests.support.problems import assert_problem
from tests.support.raw_http import connection, exchange, is_closed, read_answer
from tests.support.server import Server

HOST = b"Host: auth.example\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b'{"refresh_token": "x"}'
SETTINGS = b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"

# As clients send them.
OFFERS = {
    "curl --http2": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + SETTINGS,
    "Java's HttpClient": SETTINGS
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client\r\n",
    "a list of two lines": b"Connection: HTTP2-Settings\r\nConnection: upgrade\r\nupgrade: h2c\r\n" + SETTINGS,
    "a browser's WebSocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "in capitals": b"CONNECTION: UPGRADE\r\nUPGRADE: WebSocket\r\n",
    "several": b"Connection: Upgrade\r\nUpgrade: HTTP/2.0, SHTTP/1.3, IRC/6.9\r\n",
    "twice": b"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
    "TLS": b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    "nothing": b"Connection: Upgrade\r\nUpgrade: \r\n",
    "not for this connection": b"Upgrade: h2c\r\n",
    "announced alone": b"Connection: Upgrade, HTTP2-Settings\r\n" + SETTINGS,
}
LENGTH = b"Content-Length: 22\r\n\r\n" + BODY
CHUNKS = (
    b"Transfer-Encoding: chunked\r\n\r\n7\r\n"
    + BODY[:7]
    + b"\r\nf;x=y\r\n"
    + BODY[7:]
    + b"\r\n0\r\nX-Trailer: a\r\n\r\n"
)
START = b"POST /auth/logout HTTP/1.1\r\n" + HOST + JSON
GET = b"GET /health/live HTTP/1.1\r\n" + HOST
REQUESTS = {
    "a length": (START, LENGTH, 204),
    "chunks": (START, CHUNKS, 204),
    "no body": (GET, b"\r\n", 200),
    "an empty body": (START, b"Content-Length: 0\r\n\r\n", 400),
    "a body of GET": (GET, b"Content-Length: 22\r\n\r\n" + BODY, 200),
}


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("offer", OFFERS)
def test_a_body_is_read_and_the_connection_goes_on_in_http(server: Server, offer: str, request_: str) -> None:
    start, end, status = REQUESTS[request_]
    asked = start + OFFERS[offer] + end
    with connection(server.port) as opened:
        for _ in range(2):
            opened.sendall(asked)
            answer = read_answer(opened)
            assert (answer.status, answer.headers.get("upgrade")) == (status, None)
            assert "connection" not in answer.headers
        opened.sendall(GET + b"X-Request-ID: after\r\nConnection: close\r\n\r\n")
        assert read_answer(opened).headers["x-request-id"] == "after"


def statuses(opened: socket.socket) -> list[int]:
    """Those of all answers until the connection ends."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", opened.makefile("rb").read())]


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_it_may_come_in_pieces_of_any_size(server: Server, piece: int) -> None:
    asked = START + OFFERS["curl --http2"] + CHUNKS + GET + b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with connection(server.port) as opened:
        for position in range(0, len(asked), piece):
            opened.sendall(asked[position : position + piece])
        assert statuses(opened) == [204, 200]


def test_requests_that_follow_at_once_are_answered_in_their_order(server: Server) -> None:
    offer = OFFERS["Java's HttpClient"]
    with connection(server.port) as opened:
        opened.sendall(START + offer + LENGTH + GET + offer + b"\r\n" + GET + b"\r\n" + START + offer + CHUNKS)
        opened.sendall(GET + b"Connection: close\r\n\r\n")
        assert statuses(opened) == [204, 200, 200, 204, 200]


def test_a_connection_that_is_to_close_closes(server: Server) -> None:
    for version, words in ((b"1.1", b"close, Upgrade"), (b"1.0", b"Upgrade")):
        offer = b"Connection: " + words + b"\r\nUpgrade: h2c\r\n"
        with connection(server.port) as opened:
            opened.sendall(START.replace(b"1.1", version) + offer + LENGTH)
            answer = read_answer(opened)
            assert (answer.status, answer.headers["connection"]) == (204, "close")
            assert is_closed(opened)


def test_an_expectation_is_met_beside_an_offer(server: Server) -> None:
    with connection(server.port) as opened:
        head, _, body = LENGTH.partition(b"\r\n\r\n")
        opened.sendall(START + OFFERS["curl --http2"] + b"Expect: 100-continue\r\n" + head + b"\r\n\r\n")
        assert opened.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        opened.sendall(body)
        assert read_answer(opened).status == 204


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        (b"Content-Length: 22\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY, 400, "bad-request"),
        (b"Content-Length: 22\r\nContent-Length: 22\r\n\r\n" + BODY, 400, "bad-request"),
        (b"Host: evil.test\r\n" + LENGTH, 400, "bad-request"),
        (b"Content-Length: 99999999\r\n\r\n" + BODY, 413, "body-too-large"),
        (b"X-Long: " + b"x" * 17_000 + b"\r\n" + LENGTH, 431, "headers-too-large"),
        (b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400, "bad-request"),
    ],
)
def test_what_is_refused_without_an_offer_is_refused_with_one(
    server: Server, more: bytes, status: int, code: str
) -> None:
    assert_problem(exchange(server.port, START + OFFERS["curl --http2"] + more), status, code)


def test_a_flood_of_offers_sent_ahead_ends_the_connection(server: Server) -> None:
    with connection(server.port) as opened:
        opened.sendall((GET + OFFERS["curl --http2"] + b"\r\n") * 100)
        received = opened.makefile("rb").read()
    assert 0 < received.count(b"HTTP/1.1 200 OK\r\n") < 30


def test_curl_with_http_2_signs_nobody_out(server: Server) -> None:
    curl = shutil.which("curl")
    if curl is None and not os.environ.get("CI"):
        pytest.skip("curl is not installed (on Debian: apt-get install curl)")
    wanted = ("-s", "-o", "/dev/null", "-w", "%{http_code} ", "--http2", "--noproxy", "*")
    post = ("-H", "Content-Type: application/json", "-d", BODY.decode(), f"{server.base_url}/auth/logout")
    chunked = ("-H", "Transfer-Encoding: chunked")
    get = f"{server.base_url}/health/live"
    options = (*wanted, *post, "--next", *wanted, *chunked, *post, "--next", *wanted, get)
    done = subprocess.run([str(curl), *options], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == ["204", "204", "200"]
