"""How fast the clean-up deletes, and what refreshes feel of it: `python -m bench.cleanup`."""

import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from bench import machine
from bench.load import RefreshLoad, Sample
from tests.support.client import Client
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command

DATABASE = "bench"
USERS = 1000
LIMIT = 120  # seconds for the one command that is measured
Result = TypeVar("Result")

SEED_USERS = f"""
INSERT INTO users (id, email, email_canonical, hashed_password, role, is_active, is_verified, credential_epoch,
                   created_at, updated_at)
SELECT uuidv7(), address, address, '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$' || repeat('x', 43), 'user', true,
       true, 0, now(), now()
FROM (SELECT 'user' || number || '@example.com' AS address FROM generate_series(1, {USERS}) AS number);
"""
# Expiry is in no order with the place in the table: every page holds rows that go and rows that stay.
SEED_SESSIONS = """
INSERT INTO refresh_tokens (id, user_id, credential_epoch, secret_hash, generation, rotations, created_at, last_used_at,
                            expires_at, user_agent, ip)
SELECT uuidv7(), owners.ids[1 + number % {users}], 0, sha256(uuid_send(gen_random_uuid())), 40,
       array_fill(expires_at - interval '16 days', ARRAY[8]), expires_at - interval '30 days',
       expires_at - interval '16 days', expires_at,
       'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '203.0.113.' || number % 250
FROM (SELECT array_agg(id) AS ids FROM users WHERE email LIKE 'user%') AS owners,
     (SELECT number, now() {life} AS expires_at FROM generate_series(1, {rows}) AS number);
"""
LIVE = "+ interval '1 hour' + random() * interval '29 days'"
EXPIRED = "- interval '1 second' - random() * interval '7 days'"


@dataclass
class Round:
    """One measurement: the same load alone, beside a dry run (the cost of starting the command), and beside a run."""

    alone: Sample
    beside_dry_run: Sample
    beside: Sample
    report: dict[str, Any]

    @property
    def failures(self) -> list[str]:
        return (self.alone + self.beside_dry_run + self.beside).failures

    @property
    def rows_per_second(self) -> int:
        return int(self.report["deleted"] / self.report["seconds"])


class Bench:
    """A cluster, a server and clients of the benchmark's own."""

    def __init__(self, cluster: Cluster, folder: Path, rows: int) -> None:
        self._cluster = cluster
        self._folder = folder
        self._rows = rows
        self.environment = {
            "DATABASE_URL": cluster.url(DATABASE),
            "AUTH_SECRET_KEY": "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl",
            "AUTH_CLEANUP__INTERVAL": "0",
            "AUTH_THROTTLE__ENABLED": "false",
        }

    def prepare(self, *, durable: bool) -> None:
        """Make the schema and the rows that stay."""
        if durable:
            for name in ("fsync", "full_page_writes"):
                self._cluster.execute(f"ALTER SYSTEM SET {name} = on")
            self._cluster.restart()
        self._cluster.create_database(DATABASE)
        done = run_command("migrate", env=self.environment, cwd=self._folder)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        self._cluster.execute(SEED_USERS, DATABASE)
        self._insert(self._rows - self._rows // 2, LIVE)

    def insert_expired(self) -> None:
        """Make the rows that go, and leave the server as quiet as autovacuum and a checkpoint would."""
        self._insert(self._rows // 2, EXPIRED)
        self._cluster.execute("VACUUM ANALYZE refresh_tokens; CHECKPOINT", DATABASE)

    async def measure(self, load: RefreshLoad, baseline: float) -> Round:
        """Measure the load alone for so many seconds, then as long as the commands take."""
        _, alone = await _during(asyncio.sleep(baseline), load)
        _, beside_dry_run = await _during(self._clean_up("--dry-run"), load)
        report, beside = await _during(self._clean_up(), load)
        if report["deleted"] != self._rows // 2 or report["left"]:
            raise RuntimeError(f"the clean-up did not finish: {report}")
        return Round(alone, beside_dry_run, beside, report)

    async def _clean_up(self, *options: str) -> dict[str, Any]:
        """Run the command as an operator does and return its report."""
        done = await asyncio.to_thread(
            run_command, "cleanup", "--json", *options, env=self.environment, cwd=self._folder, timeout=LIMIT
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def _insert(self, rows: int, life: str) -> None:
        step = 100_000  # psql's own time limit in Cluster is a minute
        for start in range(0, rows, step):
            sql = SEED_SESSIONS.format(users=USERS, rows=min(step, rows - start), life=life)
            self._cluster.execute(sql, DATABASE)


async def _during(work: Awaitable[Result], load: RefreshLoad) -> tuple[Result, Sample]:
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    try:
        result = await work
    finally:
        stop.set()
    return result, await running


async def _measure(bench: Bench, server: Server, rounds: int, rate: float, baseline: float) -> list[Round]:
    measured = []
    async with Client(base_url=server.base_url, timeout=10, trust_env=False) as client:
        load = await RefreshLoad.sign_in(client, rate)
        await _during(asyncio.sleep(2), load)  # warm caches and connections are the normal case
        for number in range(rounds):
            await asyncio.to_thread(bench.insert_expired)
            measured.append(await bench.measure(load, baseline))
            print(f"round {number + 1} of {rounds}: {_line(measured[-1])}", file=sys.stderr)
    return measured


def _line(one: Round) -> str:
    return (
        f"{one.rows_per_second} rows/s; refresh p99 {one.alone.percentile(99)} ms alone, "
        f"{one.beside_dry_run.percentile(99)} ms beside a dry run, {one.beside.percentile(99)} ms beside a run"
    )


def _summary(rounds: list[Round]) -> dict[str, Any]:
    """Medians over the rounds; the maximum and the failures are those of all rounds."""
    figures: dict[str, Any] = {
        "rows_deleted_per_round": rounds[0].report["deleted"],
        "cleanup_rows_per_second": round(statistics.median(one.rows_per_second for one in rounds)),
        "cleanup_seconds": round(statistics.median(one.report["seconds"] for one in rounds), 2),
    }
    for name in ("alone", "beside_dry_run", "beside"):
        samples: list[Sample] = [getattr(one, name) for one in rounds]
        for percent in (50, 99):
            median = statistics.median(sample.percentile(percent) for sample in samples)
            figures[f"refresh_p{percent}_ms_{name}"] = round(median, 2)
        together = sum(samples, Sample())
        figures[f"refresh_max_ms_{name}"] = together.percentile(100)
        figures[f"refreshes_{name}"] = len(together.seconds)
        figures[f"refreshes_failed_{name}"] = len(together.failures)
    figures["refresh_p99_ratio"] = round(figures["refresh_p99_ms_beside"] / figures["refresh_p99_ms_alone"], 2)
    return figures


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(1000), help="Rows; half are expired.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Measurements to take.")
@click.option("--rate", default=100.0, show_default=True, type=click.FloatRange(1, 500), help="Refreshes a second.")
@click.option("--baseline", default=5.0, show_default=True, type=click.FloatRange(1, 60), help="Seconds of load alone.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Server processes.")
@click.option("--durable/--no-durable", default=True, show_default=True, help="With fsync and full-page writes.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(  # noqa: PLR0917  # click passes them by name
    rows: int, rounds: int, rate: float, baseline: float, workers: int, durable: bool, as_json: bool
) -> None:
    """Measure the clean-up beside a steady load of refreshes, on a PostgreSQL of its own."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end in order, and end what was started
    started, surroundings = time.monotonic(), machine.describe()  # before we put load on it ourselves
    with Cluster.create() as cluster, tempfile.TemporaryDirectory() as folder:
        bench = Bench(cluster, Path(folder), rows)
        bench.prepare(durable=durable)
        with Server(bench.environment, Path(folder), workers=workers) as server:
            server.wait_ready()
            measured = asyncio.run(_measure(bench, server, rounds, rate, baseline))
            server.terminate()
        postgresql = cluster.execute("SHOW server_version")
    figures = _summary(measured) | {
        "rows": rows, "rounds": rounds, "refreshes_per_second": rate, "workers": workers, "durable": durable,
        "total_seconds": round(time.monotonic() - started), "postgresql": postgresql, **surroundings,
    }  # fmt: skip
    failures = sorted({failure for one in measured for failure in one.failures})
    lines = [f"{name:32} {value}" for name, value in figures.items()]
    print(json.dumps(figures, indent=2) if as_json else "\n".join(lines))
    if failures:
        raise click.ClickException(f"refreshes failed: {'; '.join(failures)}")


if __name__ == "__main__":
    main()
