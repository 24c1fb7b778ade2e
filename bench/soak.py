"""Whether a process that serves everything, for an hour, stays as large as it is: `python -m bench.soak`."""

import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import httpx
import psutil

from bench import administrators, machine
from bench.cpu import cpu_seconds, memory
from bench.mixture import INTERNAL_TOKEN, Mixture
from bench.population import SECRET_KEY, be_like_production
from bench.publish import QUICK, keep, options
from bench.running import postmaster
from tests.support import passkeys
from tests.support.postgres import Cluster
from tests.support.processes import client_of
from tests.support.server import Server, free_port, run_command

DATABASE = "bench"
EVERY = 10.0  # seconds
GAUGES = ("auth_verified_tokens", "auth_revocations_remembered", "auth_hashing_waiting", "auth_db_pool_checked_out")
ALLOWED = 2.0  # MiB of growth over the second half: the noise of the allocator
_TABLE = """
SELECT n_tup_upd, n_tup_hot_upd, n_live_tup, n_dead_tup, autovacuum_count, pg_total_relation_size(relid)
FROM pg_stat_user_tables WHERE relname IN ('{}') ORDER BY relname
"""
TABLES = ("factors", "outgoing_mails", "refresh_tokens", "spent_challenges", "throttles")
_NAMES = ("updated", "in_place", "live_rows", "dead_rows", "autovacuums", "bytes")


@dataclass(frozen=True)
class Moment:
    """What the server and PostgreSQL were like after so many seconds; memory in MiB, as `memory` of `cpu.py` has it."""

    second: float
    server: dict[str, float]
    postgresql: dict[str, float]
    descriptors: int
    gauges: dict[str, float]


class Watch:
    """Looks at a server again and again."""

    def __init__(self, server: Server, postmaster: int, mixture: Mixture) -> None:
        self._server = server
        self._postmaster = postmaster
        self._mixture = mixture
        self._process = psutil.Process(server.pid)
        self._began = time.monotonic()
        self.moments: list[Moment] = []

    async def run(self, seconds: float) -> None:
        """Look every few seconds, for so long."""
        while (now := time.monotonic() - self._began) < seconds:
            text = await self._mixture.metrics()
            lines = (line.split() for line in text.splitlines() if line.startswith(GAUGES))
            gauges = {name: float(value) for name, value in lines}
            sizes = memory(self._server.pid), memory(self._postmaster)
            latest = Moment(round(now, 1), *sizes, self._process.num_fds(), gauges)
            self.moments.append(latest)
            print(json.dumps(asdict(latest)), file=sys.stderr, flush=True)
            await asyncio.sleep(EVERY)


def growth(moments: list[Moment], size: Callable[[Moment], float]) -> float:
    """By how many MiB a straight line through the second half of the moments rises."""
    half = moments[len(moments) // 2 :]
    slope = statistics.linear_regression([one.second for one in half], list(map(size, half))).slope
    return slope * (half[-1].second - half[0].second)


def sizes(moments: list[Moment], size: Callable[[Moment], float]) -> dict[str, float]:
    """How much there was of one kind of memory, in MiB."""
    first, middle, last = (size(moments[at]) for at in (0, len(moments) // 2, -1))
    found = {"first": first, "middle": middle, "last": last, "most": max(map(size, moments))}
    return {name: round(one, 1) for name, one in found.items()} | {
        "growth_in_second_half": round(growth(moments, size), 2)
    }


def _report(moments: list[Moment]) -> dict[str, Any]:
    found = {name: sizes(moments, size) for name, size in SIZES.items()}
    return {
        "memory_mib": found,
        "descriptors": {"middle": moments[len(moments) // 2].descriptors, "last": moments[-1].descriptors},
        "gauges_at_most": {name: max(one.gauges[name] for one in moments) for name in moments[0].gauges},
        "gauges_last": moments[-1].gauges,
        "grows": any(found[name]["growth_in_second_half"] > ALLOWED for name in BOUNDED),
    }


SIZES: dict[str, Callable[[Moment], float]] = {
    "server": lambda one: one.server["Pss_Anon"],
    "server_with_files": lambda one: one.server["Pss"],
    "postgresql": lambda one: one.postgresql["Pss_Anon"],
    "postgresql_shared": lambda one: one.postgresql["Pss_Shmem"],
    "postgresql_with_files": lambda one: one.postgresql["Pss"],
}
BOUNDED = ("server", "postgresql")  # the rest fills up: pages of files, and shared buffers


async def _measure(server: Server, postmaster: int, seconds: float, rate: float) -> tuple[list[Moment], Mixture]:
    async with client_of(server) as client:
        mixture = Mixture(client, rate)
        await mixture.sign_in()
        watch = Watch(server, postmaster, mixture)
        stop = asyncio.Event()
        running = asyncio.create_task(mixture.run(stop))
        try:
            await watch.run(seconds)
        finally:
            stop.set()
            await running
    return watch.moments, mixture


def _run(cluster: Cluster, folder: Path, mail_port: int, seconds: float, rate: float) -> dict[str, Any]:
    env = {
        "DATABASE_URL": cluster.url(DATABASE),
        "AUTH_SECRET_KEY": SECRET_KEY,
        "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN,
        "AUTH_CLEANUP__INTERVAL": "60",
        "AUTH_PASSKEYS__RP_ID": passkeys.RP_ID,
        "AUTH_PASSKEYS__ORIGINS": passkeys.ORIGIN,
        "AUTH_MAIL__HOST": "127.0.0.1",
        "AUTH_MAIL__PORT": str(mail_port),
        "AUTH_MAIL__SECURITY": "none",
        "AUTH_MAIL__SENDER": "Bench <bench@example.com>",
    }
    settings = be_like_production(cluster, ["shared_buffers=128MB"])
    cluster.create_database(DATABASE)
    done = run_command("migrate", env=env, cwd=folder)
    if done.returncode:
        raise click.ClickException(done.stdout + done.stderr)
    with Server(env, folder) as server:
        server.wait_ready()
        with httpx.Client(base_url=server.base_url, trust_env=False) as client:
            administrators.register(client, cluster, DATABASE)
        watched = {"server": [server.pid], "postgresql": [postmaster(cluster)]}
        before = {name: cpu_seconds(roots) for name, roots in watched.items()}
        moments, mixture = asyncio.run(_measure(server, postmaster(cluster), seconds, rate))
        used = {name: round((cpu_seconds(roots) - before[name]) / seconds, 3) for name, roots in watched.items()}
        server.terminate()
    tables = [line.split("|") for line in cluster.execute(_TABLE.format("', '".join(TABLES)), DATABASE).splitlines()]
    return {
        **_report(moments),
        "answers": mixture.told(),
        "unexpected": mixture.unexpected,
        "cores_busy": used,
        "tables": {
            name: dict(zip(_NAMES, map(int, figures), strict=True))
            for name, figures in zip(TABLES, tables, strict=True)
        },
        "postgresql": {"server_version": cluster.execute("SHOW server_version"), **settings},
    }


@contextmanager
def _mail_server() -> Iterator[int]:
    """Take mails and throw them away, on the port that is yielded."""
    port = free_port()
    command = [sys.executable, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink", "-l", f"127.0.0.1:{port}"]
    with subprocess.Popen(command) as process:
        try:
            yield port
        finally:
            process.terminate()


@click.command()
@click.option("--seconds", default=3600.0, show_default=True, type=click.FloatRange(60), help="How long.")
@click.option("--rate", default=25.0, show_default=True, type=click.FloatRange(1, 500), help="Requests a second.")
@options
def main(seconds: float, rate: float, mode: str | None) -> None:
    """Put a steady mixture on a server; exit code 1 if its memory grows or an answer is odd."""
    seconds = 60.0 if mode == QUICK else seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end in order, and end what was started
    surroundings = machine.describe()
    with Cluster.create(on_disk=True) as cluster, tempfile.TemporaryDirectory() as folder, _mail_server() as mail_port:
        found = _run(cluster, Path(folder), mail_port, seconds, rate)
    where = surroundings | {"postgresql": found["postgresql"]["server_version"]}
    figures = {"seconds": seconds, "requests_a_second": rate, **found}
    keep("soak", figures, where, mode=mode)
    fills = mode == QUICK  # so soon, everything grows
    sys.exit(1 if found["unexpected"] or (found["grows"] and not fills) else 0)


if __name__ == "__main__":
    main()
