"""Requests that a gateway and this service might read differently, on the sockets of a real server."""

from contextlib import suppress

import pytest

from tests.support.client import Client
from tests.support.problems import assert_problem
from tests.support.raw_http import connection, exchange, is_closed, read_answer
from tests.support.server import Server

LINE = b"POST /auth/logout HTTP/1.1\r\n"
HOST = b"Host: auth.example\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b'{"refresh_token": "x"}'
LENGTH = b"Content-Length: 22\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"16\r\n" + BODY + b"\r\n0\r\n\r\n"
START = LINE + HOST + JSON
GET = b"GET /health/live HTTP/1.1\r\n"

REFUSED: dict[str, bytes] = {
    "a length and chunks": START + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "chunks and a length": START + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "two lengths": START + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "the same length twice": START + LENGTH + LENGTH + b"\r\n" + BODY,
    "a list of lengths": START + b"Content-Length: 22, 22\r\n\r\n" + BODY,
    "a negative length": START + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length with a sign": START + b"Content-Length: +22\r\n\r\n" + BODY,
    "a length in hexadecimal": START + b"Content-Length: 0x16\r\n\r\n" + BODY,
    "a length beyond 64 bits": START + b"Content-Length: 18446744073709551638\r\n\r\n" + BODY,
    "an unknown coding": START + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "a coding before chunked": START + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "a coding after chunked": START + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS,
    "chunked twice": START + CHUNKED + CHUNKED + b"\r\n" + CHUNKS,
    "a vertical tab before chunked": START + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "a space before the colon": START + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "chunks in HTTP/1.0": b"POST /auth/logout HTTP/1.0\r\n" + HOST + JSON + CHUNKED + b"\r\n" + CHUNKS,
    "lines that end in LF": (START + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "one line that ends in LF": START + b"Content-Length: 22\n\r\n" + BODY,
    "a lone CR in a value": START + b"X: a\rb\r\n" + LENGTH + b"\r\n" + BODY,
    "a folded line": START + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "a folded coding": START + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "a space before a name": START + b" X: a\r\n" + LENGTH + b"\r\n" + BODY,
    "a CR in a chunk's extension": START + CHUNKED + b"\r\n16;a\rb\r\n" + BODY + b"\r\n0\r\n\r\n",
    "an LF after a chunk's size": START + CHUNKED + b"\r\n16\n" + BODY + b"\r\n0\r\n\r\n",
    "a chunk longer than its size": START + CHUNKED + b"\r\n16\r\n" + BODY + b"XX0\r\n\r\n",
    "a chunk's size beyond 64 bits": START + CHUNKED + b"\r\nffffffffffffffff16\r\n" + BODY + b"\r\n0\r\n\r\n",
    "two hosts": GET + HOST + b"Host: evil.test\r\n\r\n",
    "the same host twice": GET + HOST + HOST + b"\r\n",
    "no host": GET + b"\r\n",
    "a host with a path": GET + b"Host: auth.example/x\r\n\r\n",
    "a host with a user": GET + b"Host: auth.example@evil.test\r\n\r\n",
    "a list of hosts": GET + b"Host: auth.example,evil.test\r\n\r\n",
    "a user in the target": b"GET http://a@auth.example/health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a user in the target's port": b"GET http://auth.example:80@evil.test/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without a host": b"GET http:///health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a port alone": b"GET http://:80/health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with two hosts": b"GET http://auth.example,evil.test/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target of another scheme": b"GET ftp://auth.example/health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with one slash": b"GET http:/health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target with a backslash": b"GET http://auth.example\\@evil.test/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment of a whole URL": b"GET http://auth.example/health/live#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment of a whole host": b"GET http://auth.example#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a whole URL beside no host": b"GET http://auth.example/health/live HTTP/1.1\r\n\r\n",
    "a whole URL beside two hosts": b"GET http://auth.example/health/live HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "a whole URL for a tunnel": b"CONNECT http://auth.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "a host and a port": b"GET auth.example:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path without a slash": b"GET health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "to read all of the server": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "to post to all of the server": b"POST * HTTP/1.1\r\n" + HOST + LENGTH + b"\r\n" + BODY,
    "more than all of the server": b"OPTIONS */health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment in the target": b"GET /health/live#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT auth.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel to a path": b"CONNECT /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel that offers to upgrade": b"CONNECT / HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "version 2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method in lower case": b"get /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method of nobody": b"HUNT /health/live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /health /live HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space after the version": b"GET /health/live HTTP/1.1 \r\n" + HOST + b"\r\n",
    "another protocol": b"GET /health/live HTTPS/1.1\r\n" + HOST + b"\r\n",
    "version 0.9": b"GET /health/live HTTP/0.9\r\n" + HOST + b"\r\n",
    "version 1.2": b"GET /health/live HTTP/1.2\r\n" + HOST + b"\r\n",
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500,
    "a header without a name": GET + HOST + b": a\r\n\r\n",
    "a header without a colon": GET + HOST + b"a\r\n\r\n",
    "a name that is not ASCII": GET + HOST + b"X\xc3\xa9: a\r\n\r\n",
    "a NUL in a value": GET + HOST + b"X: a\x00b\r\n\r\n",
    "an empty length": START + b"Content-Length: \r\n\r\n" + BODY,
    "two numbers as the length": START + b"Content-Length: 2 2\r\n\r\n" + BODY,
    "the coding identity": START + b"Transfer-Encoding: identity\r\n\r\n" + BODY,
    "an empty coding": START + b"Transfer-Encoding: \r\n\r\n" + BODY,
    "a coding with a parameter": START + b"Transfer-Encoding: chunked;q=1\r\n\r\n" + CHUNKS,
    "an empty element before chunked": START + b"Transfer-Encoding: , chunked\r\n\r\n" + CHUNKS,
    "no version": b"GET /health/live\r\n\r\n",
    "version 2": b"GET /health/live HTTP/2.0\r\n" + HOST + b"\r\n",
}

ACCEPTED: dict[str, tuple[bytes, int]] = {
    "a length": (START + LENGTH + b"\r\n" + BODY, 204),
    "chunks": (START + CHUNKED + b"\r\n" + CHUNKS, 204),
    "a chunk's extension": (START + CHUNKED + b"\r\n16;a=b\r\n" + BODY + b"\r\n0\r\n\r\n", 204),
    "an IPv6 host with a port": (GET + b"Host: [::1]:8000\r\n\r\n", 200),
    "a coding in capitals": (START + b"Transfer-Encoding: Chunked\r\n\r\n" + CHUNKS, 204),
    "zeros before a length": (START + b"Content-Length: 0022\r\n\r\n" + BODY, 204),
    "an expectation that is met": (START + LENGTH + b"Expect: 100-continue\r\n\r\n" + BODY, 204),
    "an expectation of nobody": (START + LENGTH + b"Expect: cake\r\n\r\n" + BODY, 204),
    "a health check of an old proxy": (b"GET /health/live HTTP/1.0\r\n\r\n", 200),
    "a whole URL as the target": (b"GET http://auth.example/health/live HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "one of TLS, with a port": (b"GET HTTPS://auth.example:443/health/live?a=b HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "one of an IPv6 host": (b"GET http://[::1]:8000/health/live HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "one with another host": (b"GET http://other.example/health/live HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "one of an old proxy": (b"GET http://auth.example/health/live HTTP/1.0\r\n\r\n", 200),
    "one with a body": (START.replace(b" /", b" http://auth.example/") + LENGTH + b"\r\n" + BODY, 204),
    "one without a path": (b"GET http://auth.example HTTP/1.1\r\n" + HOST + b"\r\n", 303),
    "one without a path, with a query": (b"GET http://auth.example?a=b HTTP/1.1\r\n" + HOST + b"\r\n", 303),
    "one of nothing": (b"GET http://auth.example/nowhere HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "one that offers to upgrade": (
        START.replace(b" /", b" http://auth.example/")
        + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
        + LENGTH
        + b"\r\n"
        + BODY,
        204,
    ),
    "all of the server": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 204),
    "all of a whole server": (b"OPTIONS http://auth.example HTTP/1.1\r\n" + HOST + b"\r\n", 204),
}


@pytest.mark.parametrize("name", REFUSED)
def test_request_smuggling_by_ambiguous_framing_is_a_400_and_the_end(server: Server, name: str) -> None:
    with connection(server.port) as opened:
        opened.sendall(REFUSED[name])
        assert_problem(read_answer(opened), 400, "bad-request")
        assert is_closed(opened)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_request_with_one_meaning_is_answered(server: Server, name: str) -> None:
    sent, status = ACCEPTED[name]
    assert exchange(server.port, sent).status == status


def test_response_queue_poisoning_by_garbage_after_a_request_moves_no_answer(server: Server) -> None:
    """A refusal written too early would be taken for the answer to the request before it."""
    with connection(server.port) as opened:
        opened.sendall(GET + HOST + b"X-Request-ID: whole\r\n\r\n" + b"GARBAGE\r\n\r\n")
        answer = read_answer(opened)
        assert (answer.status, answer.headers["x-request-id"]) == (200, "whole")
        assert is_closed(opened)


def test_a_flood_of_requests_sent_ahead_ends_the_connection(server: Server) -> None:
    with connection(server.port) as opened:
        opened.sendall((GET + HOST + b"\r\n") * 100)
        received = b""
        with suppress(ConnectionResetError):  # the rest was never read
            while piece := opened.recv(65_536):
                received += piece
    assert 0 < received.count(b"HTTP/1.1 200 OK\r\n") < 30


async def test_header_smuggling_in_a_trailer_grants_nothing(server: Server, server_client: Client) -> None:
    await server_client.register("trailer@example.com")
    token = (await server_client.sign_in("trailer@example.com"))["access_token"].encode()
    request = b"GET /auth/me HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n"
    answer = exchange(server.port, request + b"0\r\nAuthorization: Bearer " + token + b"\r\n\r\n")
    assert_problem(answer, 401, "missing-access-token")
    assert exchange(server.port, request.replace(CHUNKED, b"Authorization: Bearer " + token + b"\r\n")).status == 200


def test_a_trailer_without_an_end_is_refused_before_it_fills_the_memory(server: Server) -> None:
    request = START + CHUNKED + b"\r\n16\r\n" + BODY + b"\r\n0\r\nX: "
    with connection(server.port) as opened:
        opened.sendall(request + b"x" * (256 * 1024 + 1 - len(request)))
        assert_problem(read_answer(opened), 413, "body-too-large")
