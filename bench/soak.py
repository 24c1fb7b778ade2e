"""Whether a process that serves everything, for an hour, stays as large as it is: `python -m bench.soak`."""

import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil

from bench import machine
from bench.cpu import anonymous_memory, cpu_seconds
from bench.mixture import INTERNAL_TOKEN, Mixture
from bench.population import SECRET_KEY, be_like_production
from bench.running import postmaster
from tests.support.postgres import Cluster
from tests.support.processes import client_of
from tests.support.server import Server, run_command

DATABASE = "bench"
EVERY = 10.0  # seconds
GAUGES = ("auth_verified_tokens", "auth_revocations_remembered", "auth_hashing_waiting", "auth_db_pool_checked_out")
ALLOWED = 2.0  # MiB of growth over the second half: the noise of the allocator
_TABLE = """
SELECT n_tup_upd, n_tup_hot_upd, n_live_tup, n_dead_tup, autovacuum_count, pg_total_relation_size(relid)
FROM pg_stat_user_tables WHERE relname IN ('refresh_tokens', 'throttles') ORDER BY relname
"""
_NAMES = ("updated", "in_place", "live_rows", "dead_rows", "autovacuums", "bytes")


@dataclass(frozen=True)
class Moment:
    """What the process was like after so many seconds; memory in MiB."""

    second: float
    anonymous: float
    rss: float
    descriptors: int
    gauges: dict[str, float]


class Watch:
    """Looks at a server again and again."""

    def __init__(self, server: Server, mixture: Mixture) -> None:
        self._server = server
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
            memory, descriptors = self._process.memory_info().rss / 2**20, self._process.num_fds()
            self.moments.append(Moment(now, anonymous_memory(self._server.pid), memory, descriptors, gauges))
            latest = self.moments[-1]
            print(f"{now:5.0f} s: anonymous {latest.anonymous:.1f} MiB, {gauges}", file=sys.stderr)
            await asyncio.sleep(EVERY)


def growth(moments: list[Moment]) -> float:
    """By how many MiB of anonymous memory a straight line through the second half of the moments rises."""
    half = moments[len(moments) // 2 :]
    slope = statistics.linear_regression([one.second for one in half], [one.anonymous for one in half]).slope
    return slope * (half[-1].second - half[0].second)


def _report(moments: list[Moment]) -> dict[str, Any]:
    risen = growth(moments)
    return {
        "anonymous_mib": {
            "first": round(moments[0].anonymous, 1),
            "middle": round(moments[len(moments) // 2].anonymous, 1),
            "last": round(moments[-1].anonymous, 1),
            "most": round(max(one.anonymous for one in moments), 1),
        },
        "rss_mib_last": round(moments[-1].rss, 1),
        "descriptors": {"middle": moments[len(moments) // 2].descriptors, "last": moments[-1].descriptors},
        "gauges_at_most": {name: max(one.gauges[name] for one in moments) for name in moments[0].gauges},
        "gauges_last": moments[-1].gauges,
        "growth_in_second_half_mib": round(risen, 2),
        "grows": risen > ALLOWED,
    }


async def _measure(server: Server, seconds: float, rate: float) -> tuple[list[Moment], Mixture]:
    async with client_of(server) as client:
        mixture = Mixture(client, rate)
        await mixture.sign_in()
        watch = Watch(server, mixture)
        stop = asyncio.Event()
        running = asyncio.create_task(mixture.run(stop))
        try:
            await watch.run(seconds)
        finally:
            stop.set()
            await running
    return watch.moments, mixture


def _run(cluster: Cluster, folder: Path, seconds: float, rate: float) -> dict[str, Any]:
    env = {
        "DATABASE_URL": cluster.url(DATABASE),
        "AUTH_SECRET_KEY": SECRET_KEY,
        "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN,
        "AUTH_CLEANUP__INTERVAL": "60",
    }
    settings = be_like_production(cluster, ["shared_buffers=128MB"])
    cluster.create_database(DATABASE)
    done = run_command("migrate", env=env, cwd=folder)
    if done.returncode:
        raise click.ClickException(done.stdout + done.stderr)
    with Server(env, folder) as server:
        server.wait_ready()
        watched = {"server": [server.pid], "postgresql": [postmaster(cluster)]}
        before = {name: cpu_seconds(roots) for name, roots in watched.items()}
        moments, mixture = asyncio.run(_measure(server, seconds, rate))
        used = {name: round((cpu_seconds(roots) - before[name]) / seconds, 3) for name, roots in watched.items()}
        server.terminate()
    tables = [line.split("|") for line in cluster.execute(_TABLE, DATABASE).splitlines()]
    return {
        **_report(moments),
        "answers": mixture.told(),
        "unexpected": mixture.unexpected,
        "cores_busy": used,
        "tables": {
            name: dict(zip(_NAMES, map(int, figures), strict=True))
            for name, figures in zip(("refresh_tokens", "throttles"), tables, strict=True)
        },
        "postgresql": {"server_version": cluster.execute("SHOW server_version"), **settings},
    }


@click.command()
@click.option("--seconds", default=3600.0, show_default=True, type=click.FloatRange(60), help="How long.")
@click.option("--rate", default=25.0, show_default=True, type=click.FloatRange(1, 500), help="Requests a second.")
def main(seconds: float, rate: float) -> None:
    """Put a steady mixture on a server, and print JSON; exit code 1 if its memory grows or an answer is odd."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end in order, and end what was started
    surroundings = machine.describe()
    with Cluster.create(on_disk=True) as cluster, tempfile.TemporaryDirectory() as folder:
        found = _run(cluster, Path(folder), seconds, rate)
    print(json.dumps({"seconds": seconds, "requests_a_second": rate, **found, **surroundings}, indent=2))
    sys.exit(1 if found["grows"] or found["unexpected"] else 0)


if __name__ == "__main__":
    main()
