"""The two documents that verifiers read, from a server that counts, stops and fails: an `AuthKit` over HTTP."""

import hashlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from auth_service.testing.kit import AuthKit

from .server import free_port

INTERNAL_TOKEN = "for-the-inside-of-the-tests"
JWKS = "/.well-known/jwks.json"
REVOCATIONS = "/internal/revocations"
POLL = 0.005  # seconds


class StandIn:
    """Serves a kit's keys and ended sessions. As a context manager it runs for the length of the block."""

    def __init__(self, kit: AuthKit) -> None:
        self.kit = kit
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.asked: Counter[str] = Counter()
        self.status = 200  # another one is answered to everything
        self.max_age = 300
        self.instead: dict[str, str] = {}  # what is answered at a path, whatever the kit says
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True).start()

    def stop(self) -> None:
        """Let every connection be refused; what waits is answered first."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()

    @property
    def serves(self) -> bool:
        return self._server is not None and self.status == 200

    def document(self, path: str) -> str:
        documents: dict[str, Any] = {
            JWKS: self.kit.jwks,
            REVOCATIONS: {"sids": sorted(map(str, self.kit.ended))},
        }
        return self.instead.get(path) or json.dumps(documents.get(path))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", stand_in.port), _Handler)
        self.stand_in = stand_in

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have gone."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        stand_in, url = self.server.stand_in, urlsplit(self.path)
        stand_in.asked[url.path] += 1
        inside = url.path.startswith("/internal/")
        if inside and self.headers["X-Internal-Token"] != INTERNAL_TOKEN:
            return self._answer(401)
        until = time.monotonic() + float(parse_qs(url.query).get("wait", ["0"])[0])
        etag = self._etag(url.path)
        while etag == self.headers["If-None-Match"] and time.monotonic() < until and stand_in.serves:
            time.sleep(POLL)
            etag = self._etag(url.path)
        if stand_in.status != 200:
            return self._answer(stand_in.status)
        return self._answer(304 if etag == self.headers["If-None-Match"] else 200, etag)

    def _etag(self, path: str) -> str:
        return f'"{hashlib.sha256(self._body(path)).hexdigest()}"'

    def _body(self, path: str) -> bytes:
        return self.server.stand_in.document(path).encode()

    def _answer(self, status: int, etag: str = "") -> None:
        body = self._body(urlsplit(self.path).path) if status == 200 else b""
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Cache-Control", f"public, max-age={self.server.stand_in.max_age}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
