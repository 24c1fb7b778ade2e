"""A real server that logs all it can, and its log once that is complete."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from tests.conftest import environment

from .client import Client
from .polling import eventually
from .server import Server

FORGED = '{"event": "login.succeeded", "user_id": "forged"}'  # a line that a client would like to write
TALKATIVE = {"AUTH_LOG__LEVEL": "debug", "DB_ECHO": "true", "AUTH_LOG__FORMAT": "json"}


@asynccontextmanager
async def talkative_server(url: str, folder: Path, **more: str) -> AsyncIterator[tuple[Server, Client]]:
    with Server(environment(url, **{**TALKATIVE, **more}), folder) as server:
        server.wait_ready()
        async with Client(base_url=server.base_url) as client:
            yield server, client


async def settled_log(server: Server, client: Client) -> str:
    """The log once it holds the lines of all that was asked before: a line is written after its answer has left."""
    marker = uuid4().hex
    await client.get("/nowhere", headers={"X-Request-ID": marker})

    async def is_written() -> bool:
        return marker in server.log() and server.log().endswith("\n")

    await eventually(is_written)
    return server.log()
