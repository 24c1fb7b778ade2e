"""How an answer leaves: in one piece, as soon as there is one, and without what it does not have."""

import json
import socket

from tests.support.raw_http import connection, is_closed, read_answer
from tests.support.server import Server

HOST = b"Host: auth.example\r\n"
PATH = b"/.well-known/jwks.json"
LARGEST = 1024 * 1024


def receive(opened: socket.socket) -> bytes:
    """What can be read at once, once anything can."""
    return opened.recv(LARGEST)


def test_an_answer_is_one_packet(server: Server) -> None:
    """Head and body in a packet each would wake both sides twice."""
    with connection(server.port) as opened:
        for _ in range(20):
            opened.sendall(b"GET " + PATH + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            head, _, body = receive(opened).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert json.loads(body)["keys"]


def test_an_answer_to_head_is_sent_too(server: Server) -> None:
    """Of several on one connection, each has a head of its own, and no body of another."""
    request = b" /auth/pages/page.js HTTP/1.1\r\n" + HOST
    with connection(server.port) as opened:
        for _ in range(3):
            for method, end in ((b"HEAD", b"\r\n\r\n"), (b"GET", b"begin();\n")):
                opened.sendall(method + request + b"\r\n")
                answer = receive(opened)
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                assert answer.count(b"HTTP/1.1 ") == 1
                assert answer.endswith(end)
        opened.sendall(b"HEAD" + request + b"Connection: close\r\n\r\n")
        assert receive(opened).startswith(b"HTTP/1.1 200 OK\r\n")
        assert is_closed(opened)


def test_who_waits_for_leave_to_send_a_body_gets_it_before_the_answer(server: Server) -> None:
    body = b'{"email": "nobody@example.com", "password": "wrong"}'
    head = b"POST /auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nExpect: 100-continue\r\n"
    with connection(server.port) as opened:
        for _ in range(2):
            opened.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body))
            assert receive(opened) == b"HTTP/1.1 100 Continue\r\n\r\n"
            opened.sendall(body)
            assert read_answer(opened).status == 401
