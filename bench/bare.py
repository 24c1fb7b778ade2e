"""A bare Starlette route on the same server as the service: what nothing costs. `python -m bench.bare PORT`."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth_service.cli.serve import KEEP_ALIVE_SECONDS
from tests.support.server import free_port, wait_until

VERBS = ["GET", "POST"]


class Bare(NamedTuple):
    """Where it is served, and by which process."""

    port: int
    pid: int


async def nothing(_request: Request) -> Response:
    return Response()


def main() -> None:
    app = Starlette(routes=[Route("/{path:path}", nothing, methods=VERBS)])
    app.state.services = SimpleNamespace(revocations=SimpleNamespace(release=lambda: None))
    uvicorn.run(
        app,
        http="auth_service.api.http.connections.protocol:Protocol",
        port=int(sys.argv[1]),
        log_config=None,
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


@contextmanager
def serve_bare() -> Iterator[Bare]:
    """Serve it in a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.bare", str(port)], start_new_session=True)
    try:
        wait_until(lambda: _listens(port), 15, lambda: "the bare server does not listen")
        yield Bare(port, process.pid)
    finally:
        process.kill()
        process.wait(10)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


if __name__ == "__main__":
    main()
