"""What can happen to a database, each as a block: the fault holds inside it and is gone after it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg

from . import roles
from .postgres import Cluster
from .server import Server
from .tcp_proxy import TcpProxy

ROLE = "auth_app"
DATABASE = "auth"


class Scene:
    """A cluster of the tests' own, a proxy before it, and a service that reaches it through the proxy as ROLE."""

    def __init__(self, cluster: Cluster, proxy: TcpProxy, server: Server, folder: Path) -> None:
        self.cluster = cluster
        self.proxy = proxy
        self.server = server
        self.folder = folder

    @classmethod
    @contextmanager
    def set_up(cls, environment: Callable[..., dict[str, str]], folder: Path, **settings: str) -> Iterator[Self]:
        """Set everything up with the schema at head; `environment` makes the service's of a URL and the settings."""
        with Cluster.create() as cluster, TcpProxy(cluster.port) as proxy:
            roles.prepare(cluster, DATABASE, environment, folder)
            env = environment(f"postgresql://{ROLE}@127.0.0.1:{proxy.port}/{DATABASE}", **settings)
            with Server(env, folder) as server:
                yield cls(cluster, proxy, server, folder)

    async def sql(self, statement: str) -> str:
        """Run a statement as the operator, in the service's database."""
        return await asyncio.to_thread(self.cluster.execute, statement, DATABASE)

    async def connect(self) -> Any:
        """Return a connection of somebody else's to the service's database."""
        return await asyncpg.connect(self.cluster.url(DATABASE), server_settings={"application_name": "rival"})


Fault = Callable[[Scene], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def stopped(scene: Scene) -> AsyncIterator[None]:
    await asyncio.to_thread(scene.cluster.stop, "fast")
    try:
        yield
    finally:
        await asyncio.to_thread(scene.cluster.start)


@asynccontextmanager
async def crashed(scene: Scene) -> AsyncIterator[None]:
    await asyncio.to_thread(scene.cluster.stop, "immediate")
    try:
        yield
    finally:
        await asyncio.to_thread(scene.cluster.start)


@asynccontextmanager
async def frozen(scene: Scene) -> AsyncIterator[None]:
    await asyncio.to_thread(scene.cluster.freeze)
    try:
        yield
    finally:
        await asyncio.to_thread(scene.cluster.thaw)


@asynccontextmanager
async def silent(scene: Scene) -> AsyncIterator[None]:
    """Nothing passes, and nobody is told."""
    scene.proxy.silence()
    try:
        yield
    finally:
        scene.proxy.pass_through()


@asynccontextmanager
async def answers_lost(scene: Scene) -> AsyncIterator[None]:
    """What is asked for is done, but the answers get lost."""
    scene.proxy.swallow_answers()
    try:
        yield
    finally:
        scene.proxy.pass_through()


@asynccontextmanager
async def slow(scene: Scene) -> AsyncIterator[None]:
    """Each answer takes so long that no wait is too long by itself, but all of them are."""
    scene.proxy.delay(0.65)
    try:
        yield
    finally:
        scene.proxy.pass_through()


@asynccontextmanager
async def refused(scene: Scene) -> AsyncIterator[None]:
    scene.proxy.refuse()
    scene.proxy.reset()
    try:
        yield
    finally:
        scene.proxy.pass_through()


@asynccontextmanager
async def locked(scene: Scene) -> AsyncIterator[None]:
    """Every statement waits for a lock that is not given, until the pool is exhausted."""
    rival = await scene.connect()
    await rival.execute("BEGIN; LOCK TABLE users, refresh_tokens")
    try:
        yield
    finally:
        await rival.close()


def changed(during: str, after: str, *, reconnect: bool) -> Fault:
    """What a statement of the operator causes, and another one ends, if need be on new connections only."""

    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[None]:
        await scene.sql(during)
        if reconnect:
            scene.proxy.reset()
        try:
            yield
        finally:
            await scene.sql(after)

    return fault


_SLEEPY = """
CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION sleep();
CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION sleep();
"""

OUTAGES: dict[str, Fault] = {
    "stopped": stopped,
    "crashed": crashed,
    "frozen": frozen,
    "silent": silent,
    "answers lost": answers_lost,
    "refused": refused,
    "locked, and the pool exhausted": locked,
    "out of connections": changed(
        f"ALTER ROLE {ROLE} CONNECTION LIMIT 0", f"ALTER ROLE {ROLE} CONNECTION LIMIT -1", reconnect=True
    ),
    "role refused": changed(f"ALTER ROLE {ROLE} NOLOGIN", f"ALTER ROLE {ROLE} LOGIN", reconnect=True),
    "permission refused": changed(
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}",
        reconnect=False,
    ),
    "schema missing": changed(
        "ALTER SCHEMA public RENAME TO hidden", "ALTER SCHEMA hidden RENAME TO public", reconnect=False
    ),
}

WRITE_OUTAGES: dict[str, Fault] = {
    "read-only": changed(
        f"ALTER ROLE {ROLE} SET default_transaction_read_only = on",
        f"ALTER ROLE {ROLE} RESET default_transaction_read_only",
        reconnect=True,
    ),
    "slower than the statement time-out": changed(_SLEEPY, "DROP FUNCTION sleep CASCADE", reconnect=False),
}
