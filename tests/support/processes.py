"""Two real processes of the service on one database, and what they wrote into their logs."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .client import Client
from .server import Server, run_command


def events(log: str, name: str, **fields: Any) -> list[dict[str, Any]]:
    """The events of this name in a JSON log that have these fields."""
    lines = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("event") == name and fields.items() <= line.items()]


@dataclass(frozen=True)
class Pair:
    """Processes A and B. Both serve every route; what ends through one must be refused by the other."""

    url: str
    a: Server
    b: Server
    env: dict[str, str]
    folder: Path

    @classmethod
    @contextmanager
    def start(cls, url: str, env: dict[str, str], folder: Path) -> Iterator[Self]:
        with Server(env, folder) as a, Server(env, folder) as b:
            a.wait_ready()
            b.wait_ready()
            yield cls(url, a, b, env, folder)

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[tuple[Client, Client]]:
        async with client_of(self.a) as a, client_of(self.b) as b:
            yield a, b

    def command(self, *words: str) -> str:
        """Run `auth-service WORDS` on the same database and return everything it said."""
        done = run_command(*words, env=self.env, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def client_of(server: Server) -> Client:
    return Client(base_url=server.base_url, trust_env=False, timeout=10)
