"""A real service of two processes, for races between them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from tests.conftest import environment

from .client import Client
from .server import Server, wait_until

RACERS = 200
# All the time that a racer needs: what is tested is who wins.
PATIENCE = {"DB_STATEMENT_TIMEOUT": "60", "DB_CONNECT_TIMEOUT": "60"}


@contextmanager
def two_processes(url: str, folder: Path, **settings: str) -> Iterator[Server]:
    """A real service of two processes, both at work."""
    with Server(environment(url, **PATIENCE, **settings), folder, workers=2) as server:
        wait_until(lambda: len(connections(server, url)) == 2, 30, server.log)
        wait_until(lambda: 0 not in connections(server, url), 30, server.log)
        server.wait_ready()
        yield server


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[Client]:
    """A client with room for all racers, and the account ada@example.com."""
    limits = httpx.Limits(max_connections=RACERS)
    async with Client(base_url=server.base_url, trust_env=False, timeout=90, limits=limits) as client:
        await client.register("ada@example.com")  # by whichever test comes first
        yield client


def connections(server: Server, url: str) -> list[int]:
    """How many connections to the database each process of a service has."""
    port = urlsplit(url).port
    return [
        sum(bool(end.raddr) and end.raddr.port == port for end in psutil.Process(pid).net_connections("tcp"))
        for pid in server.worker_pids()
    ]
