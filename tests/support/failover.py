"""A primary, a standby, and two processes of the service that know both servers by one URL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from . import roles
from .polling import eventually
from .postgres import Cluster
from .processes import events
from .server import Server

DATABASE = "auth"
DELAY = 3.0  # seconds that the standby shows everything late; what it has received, it applies when promoted


class Scene:
    def __init__(self, primary: Cluster, standby: Cluster, processes: list[Server]) -> None:
        self.primary = primary
        self.standby = standby
        self.processes = processes
        self.base_urls = [process.base_url for process in processes]

    @classmethod
    @asynccontextmanager
    async def set_up(cls, env: dict[str, str], folder: Path, delay: float = DELAY) -> AsyncIterator[Self]:
        """Everything runs and has its schema; the standby follows, `delay` seconds late.

        `env` is the environment of the processes, but for DATABASE_URL.
        """
        with ExitStack() as stack:
            primary = stack.enter_context(Cluster.create())
            roles.prepare(primary, DATABASE, lambda url: {**env, "DATABASE_URL": url}, folder)
            standby = stack.enter_context(primary.standby(delay))
            env = {**env, "DATABASE_URL": url_of(primary, standby)}
            processes = [stack.enter_context(Server(env, folder)) for _ in range(2)]
            scene = cls(primary, standby, processes)
            await scene.ready()
            yield scene

    async def ready(self) -> None:
        for process in self.processes:
            await asyncio.to_thread(process.wait_ready)

    async def has_received_everything(self) -> None:
        """Wait until the standby has received what the primary has written."""
        written = await asyncio.to_thread(self.primary.execute, "SELECT pg_current_wal_flush_lsn()")
        question = f"SELECT coalesce(bool_or(flush_lsn >= '{written}'), false) FROM pg_stat_replication"

        async def so() -> bool:
            return await asyncio.to_thread(self.primary.execute, question) == "t"

        await eventually(so)

    async def cut(self) -> None:
        """Let the standby receive nothing any more: whatever is committed from now on gets lost with the primary."""
        await asyncio.to_thread(self.standby.execute, "ALTER SYSTEM SET primary_conninfo = ''; SELECT pg_reload_conf()")

        async def gone() -> bool:
            return await asyncio.to_thread(self.primary.execute, "SELECT count(*) FROM pg_stat_replication") == "0"

        await eventually(gone)

    async def demand_acknowledgement(self, level: str) -> None:
        """Let the primary answer no commit before the standby has it, to this level of synchronous_commit."""
        for setting in (f"synchronous_commit = {level}", "synchronous_standby_names = 'standby'"):
            await asyncio.to_thread(self.primary.execute, f"ALTER SYSTEM SET {setting}")
        await asyncio.to_thread(self.primary.execute, "SELECT pg_reload_conf()")
        question = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"

        async def so() -> bool:
            return await asyncio.to_thread(self.primary.execute, question) == "1"

        await eventually(so)

    async def fail_over(self) -> None:
        """Crash the primary and promote the standby; return when it takes writes."""
        await asyncio.to_thread(self.primary.stop, "immediate")
        await asyncio.to_thread(self.standby.promote)

    def skipped(self) -> list[int]:
        """By how many generations each session was fast-forwarded, as the processes have logged it."""
        log = "".join(process.log() for process in self.processes)
        return [event["generations"] for event in events(log, "refresh.fast_forwarded")]


def url_of(*servers: Cluster) -> str:
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://auth_app@{hosts}/{DATABASE}?target_session_attrs=read-write"
