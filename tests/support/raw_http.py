"""Bytes over a socket, for requests that no HTTP client would send."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

PATIENCE = 30.0  # seconds; beyond every time-out of the service


@dataclass(frozen=True)
class Answer:
    """What came back. The names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    """A connection to 127.0.0.1 on which no read waits for longer than half a minute."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as opened:
        yield opened


def exchange(port: int, request: bytes) -> Answer:
    """Send these bytes on a connection of their own and return the first answer."""
    with connection(port) as opened:
        opened.sendall(request)
        return read_answer(opened, request.partition(b" ")[0].decode("latin-1"))


def read_answer(opened: socket.socket, method: str = "GET") -> Answer:
    """Return the next answer on a connection; raises `http.client.HTTPException` or OSError if there is none."""
    response = http.client.HTTPResponse(opened, method=method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def is_closed(opened: socket.socket) -> bool:
    """Wait for the other side to hang up; False if it has not within half a minute, or says something instead."""
    try:
        return opened.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
