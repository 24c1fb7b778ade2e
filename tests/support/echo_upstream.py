"""An application behind a gateway: it answers with what it received, so that a test sees what the gateway passed on."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from .server import free_port


@dataclass(frozen=True)
class Received:
    """One request as it arrived: its target in raw form, every header in order, and the body's length and SHA-256."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    length: int
    digest: str

    def values(self, name: str) -> list[str]:
        """The values of a header in every spelling that an application may take for it: `X_Auth_User` is one."""
        wanted = _canonical(name)
        return [value for given, value in self.headers if _canonical(given) == wanted]


class EchoUpstream:
    """An HTTP server on a free port of 127.0.0.1 that answers every verb; `received` holds all requests, in order.

    Takes the status of every answer, but for requests that ask for another in a header `Answer`.
    """

    def __init__(self, status: int = 200) -> None:
        self.received: list[Received] = []
        self.port = free_port()
        handler = type("Handler", (_Handler,), {"received": self.received, "status": status})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 200

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A gateway may hang up whenever it likes."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    received: list[Received]
    status: int

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._echo
        raise AttributeError(name)

    def _echo(self) -> None:
        body = b"".join(self._body())
        digest = hashlib.sha256(body).hexdigest()
        found = Received(self.command, self.path, list(self.headers.items()), len(body), digest)
        self.received.append(found)
        answer = json.dumps(asdict(found)).encode()
        self.send_response(int(self.headers.get("Answer", self.status)))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while line := self.rfile.readline().strip():
                name, _, value = line.decode("latin-1").partition(":")
                self.headers[name] = value.strip()  # a careless application takes a trailer for a header
        else:
            yield self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as in the base class
        """Say nothing."""


def _canonical(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())
