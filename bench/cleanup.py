"""How fast the clean-up deletes, and what refreshes feel of it: `python -m bench.cleanup`."""

import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from bench import machine
from bench.load import Sample
from bench.population import SECRET_KEY, Population, be_like_production
from bench.publish import QUICK, keep, options
from bench.steady import SteadyRefreshes
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command

DATABASE = "bench"
WARM_UP = 3  # seconds: connections are open and statements prepared in the normal case
LIMIT = 600  # seconds for the one command that is measured
Result = TypeVar("Result")


class Seconds(NamedTuple):
    """How long the load runs alone, and beside a paced run."""

    alone: float
    paced: float


STRETCHES = ("alone", "beside_dry_run", "beside", "alone_again", "beside_full_speed")


@dataclass
class Round:
    """One measurement: the same load alone, beside a dry run (the cost of starting the command), and beside runs."""

    alone: Sample
    beside_dry_run: Sample
    beside: Sample
    alone_again: Sample
    beside_full_speed: Sample
    paced: float
    """Rows per second that the paced run deleted."""
    report: dict[str, Any]
    """What the run at full speed said, which deleted the rest."""

    @property
    def failures(self) -> list[str]:
        return [failure for name in STRETCHES for failure in getattr(self, name).failures]

    @property
    def rows_per_second(self) -> int:
        return int(self.report["deleted"] / self.report["seconds"])

    @property
    def ratio(self) -> float:
        """How the 99th percentile beside the paced run stands to that of the stretches before and after it."""
        return self.beside.percentile(99) / (self.alone + self.alone_again).percentile(99)

    @property
    def ratio_at_full_speed(self) -> float:
        return self.beside_full_speed.percentile(99) / (self.alone + self.alone_again).percentile(99)


class Bench:
    """A cluster, a server and clients of the benchmark's own."""

    def __init__(self, cluster: Cluster, folder: Path, rows: int) -> None:
        self._cluster = cluster
        self._folder = folder
        self.population = Population(cluster, DATABASE, rows, expired=True)
        self.environment = {
            "DATABASE_URL": cluster.url(DATABASE),
            "AUTH_SECRET_KEY": SECRET_KEY,
            "AUTH_CLEANUP__INTERVAL": "0",
            "AUTH_THROTTLE__ENABLED": "false",
        }

    def prepare(self) -> None:
        """Make the schema and the rows."""
        self._cluster.create_database(DATABASE)
        done = run_command("migrate", env=self.environment, cwd=self._folder)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        self.population.make()

    async def measure(self, load: SteadyRefreshes, seconds: Seconds) -> Round:
        """Measure the load alone, beside a paced run, alone again, and beside one at full speed."""
        _, alone = await _during(asyncio.sleep(seconds.alone), load)
        _, beside_dry_run = await _during(self._clean_up("--dry-run"), load)
        began = time.monotonic()
        _, beside = await _during(self._begin_clean_up(seconds.paced), load)
        took = time.monotonic() - began
        _, alone_again = await _during(asyncio.sleep(seconds.alone), load)
        report, beside_full_speed = await _during(self._clean_up("--rate", "0"), load)
        gone = self.population.rows // 2 - report["deleted"]
        if gone <= 0 or report["left"] or report["skipped"]:
            raise RuntimeError(f"the clean-up did not finish, or found nothing to do: {report}")
        return Round(alone, beside_dry_run, beside, alone_again, beside_full_speed, gone / took, report)

    async def _begin_clean_up(self, seconds: float) -> None:
        """Run the command at the pace of the settings, and kill it after so long: its batches stay."""
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(run_command, "cleanup", env=self.environment, cwd=self._folder, timeout=seconds)

    async def _clean_up(self, *options: str) -> dict[str, Any]:
        """Run the command as an operator does and return its report."""
        done = await asyncio.to_thread(
            run_command, "cleanup", "--json", *options, env=self.environment, cwd=self._folder, timeout=LIMIT
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        return report


async def _during(work: Awaitable[Result], load: SteadyRefreshes) -> tuple[Result, Sample]:
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    try:
        result = await work
    finally:
        stop.set()
    return result, await running


async def _measure(bench: Bench, server: Server, rounds: int, *, rate: float, seconds: Seconds) -> list[Round]:
    measured = []
    load = SteadyRefreshes(server.port, bench.population.live_tokens(), rate)
    await _during(asyncio.sleep(WARM_UP), load)
    for number in range(rounds):
        if number:
            await asyncio.to_thread(bench.population.insert_expired)
        measured.append(await bench.measure(load, seconds))
        print(f"round {number + 1} of {rounds}: {_line(measured[-1])}", file=sys.stderr)
    return measured


def _line(one: Round) -> str:
    names = ", ".join(f"{getattr(one, name).percentile(99)} ms {name.replace('_', ' ')}" for name in STRETCHES)
    return f"{one.paced:.0f} rows/s paced, {one.rows_per_second} at full speed; refresh p99 {names}"


def _summary(rounds: list[Round]) -> dict[str, Any]:
    """Medians over the rounds; the maximum and the failures are those of all rounds."""
    figures: dict[str, Any] = {
        "rows_per_second_paced": round(statistics.median(one.paced for one in rounds)),
        "rows_per_second_at_full_speed": round(statistics.median(one.rows_per_second for one in rounds)),
        "rows_deleted_at_full_speed": rounds[0].report["deleted"],
    }
    for name in STRETCHES:
        samples: list[Sample] = [getattr(one, name) for one in rounds]
        for percent in (50, 99):
            median = statistics.median(sample.percentile(percent) for sample in samples)
            figures[f"refresh_p{percent}_ms_{name}"] = round(median, 2)
        together = sum(samples, Sample())
        figures[f"refresh_max_ms_{name}"] = together.percentile(100)
        figures[f"refreshes_{name}"] = len(together.seconds)
        figures[f"refreshes_failed_{name}"] = len(together.failures)
    figures["refresh_p99_ratio"] = round(statistics.median(one.ratio for one in rounds), 2)
    at_full_speed = statistics.median(one.ratio_at_full_speed for one in rounds)
    return figures | {"refresh_p99_ratio_at_full_speed": round(at_full_speed, 2)}


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(40_000), help="Half are expired.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Measurements to take.")
@click.option("--rate", default=100.0, show_default=True, type=click.FloatRange(1, 500), help="Refreshes a second.")
@click.option(
    "--baseline", default=10.0, show_default=True, type=click.FloatRange(1, 60), help="Seconds of load alone."
)
@click.option(
    "--paced", default=20.0, show_default=True, type=click.FloatRange(1, 3600), help="Seconds of a paced run."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Server processes.")
@click.option("--set", "extra", multiple=True, metavar="NAME=VALUE", help="A setting of PostgreSQL; may be repeated.")
@options
def main(  # noqa: PLR0917  # click passes them by name
    rows: int,
    rounds: int,
    rate: float,
    baseline: float,
    paced: float,
    workers: int,
    extra: tuple[str, ...],
    mode: str | None,
) -> None:
    """Measure the clean-up beside a steady load of refreshes, on a PostgreSQL of its own."""
    if mode == QUICK:
        rows, rounds, baseline, paced = 40_000, 1, 2.0, 2.0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end in order, and end what was started
    started, surroundings = time.monotonic(), machine.describe()  # before we put load on it ourselves
    with Cluster.create(on_disk=True) as cluster, tempfile.TemporaryDirectory() as folder:
        bench = Bench(cluster, Path(folder), rows)
        settings = be_like_production(cluster, extra)
        bench.prepare()
        before = bench.population.sizes()
        with Server(bench.environment, Path(folder), workers=workers) as server:
            server.wait_ready()
            measured = asyncio.run(_measure(bench, server, rounds, rate=rate, seconds=Seconds(baseline, paced)))
            server.terminate()
        postgresql = cluster.execute("SHOW server_version")
        sizes = bench.population.sizes()
    figures = _summary(measured) | {
        "mib_before": round(sum(before.values()) / 2**20), "mib_after": round(sum(sizes.values()) / 2**20),
        "rows": rows, "rounds": rounds, "refreshes_per_second": rate, "workers": workers,
        "total_seconds": round(time.monotonic() - started), **settings,
    }  # fmt: skip
    keep("cleanup", figures, surroundings | {"postgresql": postgresql}, mode=mode)
    failures = sorted({failure for one in measured for failure in one.failures})
    if failures:
        raise click.ClickException(f"refreshes failed: {'; '.join(failures)}")


if __name__ == "__main__":
    main()
