"""Somebody who looks after the signing keys with the command line, and what every worker makes of it."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import environment

from .client import Client
from .processes import client_of
from .server import Server, run_command
from .sql import run_sql
from .traffic import kid_of

EVERYWHERE = 12  # connections, each of which either of two workers may take


class Operator:
    """Somebody with the command line, and a look into the database."""

    def __init__(self, url: str, folder: Path, **settings: str) -> None:
        self.url = url
        self.env = environment(url, **settings)
        self.folder = folder

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run_command("keys", *words, env={**self.env, **settings}, cwd=self.folder)

    async def keys(self, *words: str, **settings: str) -> str:
        """Run `auth-service keys WORDS`, which succeeds, and return its answer."""
        done = await asyncio.to_thread(lambda: self.run(*words, **settings))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async def rotate(self) -> str:
        """Publish a new key and return its id."""
        return (await self.keys("rotate")).removeprefix("published: ")

    async def states(self) -> dict[str, str]:
        return {key["kid"]: key["state"] for key in json.loads(await self.keys("list", "--json"))}

    async def move(self, kid: str, column: str, ago: str) -> None:
        statement = f"UPDATE signing_keys SET {column} = now() - $2::text::interval WHERE kid = $1"
        await run_sql(self.url, statement, kid, ago)

    async def keep_one(self) -> str:
        """Begin with one key, whatever was there before; return its id."""
        await run_sql(self.url, "DELETE FROM signing_keys WHERE state <> 'active'")
        ((kid,),) = await run_sql(self.url, "SELECT kid FROM signing_keys")
        return str(kid)


@dataclass(frozen=True)
class Issuer:
    """A service that is its own issuer, and who looks after its keys."""

    server: Server
    operator: Operator

    @property
    def url(self) -> str:
        return self.server.base_url


async def everywhere(server: Server, ask: Callable[[Client], Any]) -> list[Any]:
    """Ask on many new connections at once, and again until each worker has answered: a busy one may have taken none."""
    answers: list[Any] = []
    workers: set[int] = set()
    async with asyncio.timeout(20):
        while len(workers) < server.workers:
            async with AsyncExitStack() as stack:
                before = _ports(os.getpid(), server)
                clients = [await stack.enter_async_context(client_of(server)) for _ in range(EVERYWHERE)]
                answers += await asyncio.gather(*(ask(client) for client in clients))
                asked = _ports(os.getpid(), server) - before
                parent = psutil.Process(server.pid)
                workers |= {one.pid for one in (parent, *parent.children()) if _ports(one.pid, server) & asked}
    return answers


def _ports(pid: int, server: Server) -> set[int]:
    """The ports at which clients of the server are, by the connections to it that a process has, at either end."""
    ends = psutil.Process(pid).net_connections("tcp")
    here = {end.laddr.port for end in ends if end.raddr and end.raddr.port == server.port}
    return here | {end.raddr.port for end in ends if end.raddr and end.laddr.port == server.port}


async def published(client: Client) -> set[str]:
    return {key["kid"] for key in (await client.get("/.well-known/jwks.json")).raise_for_status().json()["keys"]}


async def all_publish(server: Server, kids: set[str]) -> bool:
    return all(found == kids for found in await everywhere(server, published))


async def all_sign_with(server: Server, tokens: dict[str, Any], kid: str) -> bool:
    """Refresh with the same token everywhere: within the grace each worker answers with an access token of its own."""

    async def signer(client: Client) -> str:
        return kid_of((await client.refresh(tokens["refresh_token"])).raise_for_status().json()["access_token"])

    return set(await everywhere(server, signer)) == {kid}


async def statuses(server: Server, access_token: str) -> set[int]:
    async def ask(client: Client) -> int:
        return (await client.me(access_token)).status_code

    return set(await everywhere(server, ask))


async def all_answer(server: Server, access_token: str, status: int) -> bool:
    return await statuses(server, access_token) == {status}
