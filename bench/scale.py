"""What requests cost with millions of users and sessions, beside a few thousand: `python -m bench.scale`."""

import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx

from bench import generator, machine, usage
from bench.exchanges import Exchange
from bench.generator import Generator, Job, Stretch
from bench.populated_factors import PopulatedFactors
from bench.population import SECRET_KEY, Population, be_like_production
from bench.publish import QUICK, keep, options
from bench.running import postmaster
from bench.scale_requests import (
    INTERNAL_TOKEN,
    OPERATIONS,
    ScaleRequests,
    Values,
    admin_token,
    exchange,
    make_admin,
)
from tests.support.client import PASSWORD
from tests.support.postgres import Cluster, with_trigrams
from tests.support.server import Server, run_command

SMALL = 10_000
SESSIONS = 3  # operations that need sessions
FLUSH = 10.5  # seconds after which an idle connection has told the database's statistics what it did

_TOUCHED = "SELECT blks_hit, blks_read FROM pg_stat_database WHERE datname = current_database()"
_UPDATED = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'refresh_tokens'"


@dataclass
class Measured:
    """What the stretches of one operation saw; WAL and pages are those of all of them together."""

    stretches: list[Stretch] = field(default_factory=list)
    wal: int = 0
    hits: int = 0
    reads: int = 0

    def median(self, figure: Callable[[Stretch], float]) -> float:
        return statistics.median(map(figure, self.stretches))

    def report(self) -> dict[str, float]:
        """For one request: milliseconds, bytes of WAL, and pages found in shared buffers and not found there."""
        count = sum(stretch.answers for stretch in self.stretches)
        return {
            "requests": count,
            "p50_ms": round(self.median(lambda one: one.p50), 2),
            "p95_ms": round(self.median(lambda one: one.p95), 2),
            "p99_ms": round(self.median(lambda one: one.p99), 2),
            "cpu_ms": round(1000 * self.median(lambda one: one.cpu / one.answers), 3),
            "wal_bytes": round(self.wal / count),
            "page_hits": round(self.hits / count, 1),
            "page_reads": round(self.reads / count, 1),
        }


class Side:
    """One of the two: a database, its server, and what was measured there."""

    def __init__(self, cluster: Cluster, name: str, rows: int, folder: Path) -> None:
        self.name = name
        self.measured = {operation: Measured() for operation in OPERATIONS}
        self.population = Population(cluster, name, rows)
        self._factors = PopulatedFactors(cluster, name, self.population)
        self._cluster = cluster
        self._folder = folder
        self._postmaster = postmaster(cluster)
        self._environment = {
            "DATABASE_URL": cluster.url(name),
            "AUTH_SECRET_KEY": SECRET_KEY,
            "AUTH_INTERNAL_TOKEN": INTERNAL_TOKEN,
            "AUTH_CLEANUP__INTERVAL": "0",
        }

    def prepare(self) -> None:
        """Make the database and everybody in it."""
        self._cluster.create_database(self.name)
        done = run_command("migrate", env=self._environment, cwd=self._folder)
        if done.returncode:
            raise click.ClickException(done.stdout + done.stderr)
        self.population.make(PASSWORD)
        self._factors.make()

    @contextmanager
    def serving(self, load: Generator, requests: int) -> Iterator[None]:
        """Serve for the length of the block, with sessions for so many requests that each need another one."""
        self._load = load
        with Server(self._environment, self._folder) as server, httpx.Client(base_url=server.base_url) as client:
            server.wait_ready()
            make_admin(client, self._cluster, self.name)
            self._server, self._client = server, client
            self._requests = ScaleRequests(self.population, self._factors, requests, self._send)
            yield
            server.terminate()

    def begin(self, operation: str) -> None:
        """Sign the administrator in, for a while."""
        self._exchange = exchange(operation, admin_token(self._client))

    def values(self, operation: str, count: int) -> Values:
        """Return what to send in one stretch, of other sessions and other people each time."""
        return self._requests.values(operation, count)

    def run(self, operation: str, values: Values) -> None:
        """Send one stretch of requests, and keep what it saw."""
        sent, before = values(), self._wal()
        stretch, _ = self._load.run(self._job(self._exchange, sent))
        self.measured[operation].stretches.append(stretch)
        self.measured[operation].wal += self._wal() - before

    def touched(self) -> tuple[int, int]:
        """Pages of this database that were found in shared buffers so far, and that were not."""
        hits, reads = self._cluster.execute(_TOUCHED, self.name).split("|")
        return int(hits), int(reads)

    def in_place(self) -> float:
        """Which part of the updates of sessions needed no new entry in an index."""
        updated, in_place = self._cluster.execute(_UPDATED, self.name).split("|")
        return round(int(in_place) / int(updated), 4)

    def _wal(self) -> int:
        return int(self._cluster.execute("SELECT pg_current_wal_lsn() - '0/0'"))

    def _send(self, exchange: Exchange, values: list[str]) -> list[dict[str, str]]:
        return self._load.run(self._job(exchange, values))[1]

    def _job(self, exchange: Exchange, values: list[str]) -> Job:
        return Job(self._server.port, exchange, values, [self._server.pid, self._postmaster], connections=1)


def measure(sides: list[Side], operation: str, rounds: int, requests: int) -> None:
    """Send the same number of requests to each side in turn, several times, one after the other."""
    for side in sides:
        side.begin(operation)
    values = [[side.values(operation, requests) for _ in range(rounds + 1)] for side in sides]
    for side, prepared in zip(sides, values, strict=True):
        side.run(operation, prepared.pop())
        side.measured[operation] = Measured()  # that was the warm-up
    time.sleep(FLUSH)
    before = [side.touched() for side in sides]
    for number in range(rounds):
        for side, prepared in list(zip(sides, values, strict=True))[:: -1 if number % 2 else 1]:
            side.run(operation, prepared.pop())
    time.sleep(FLUSH)
    for side, (hits, reads) in zip(sides, before, strict=True):
        measured = side.measured[operation]
        measured.hits, measured.reads = (now - then for now, then in zip(side.touched(), (hits, reads), strict=True))


def ratios(small: Side, large: Side) -> dict[str, dict[str, float]]:
    """The large table beside the small one: the median of the rounds' own ratios."""
    return {
        operation: {
            figure: round(
                statistics.median(
                    getattr(beside, figure) / getattr(one, figure)
                    for one, beside in zip(
                        small.measured[operation].stretches, large.measured[operation].stretches, strict=True
                    )
                ),
                2,
            )
            for figure in ("p50", "p95", "cpu")
        }
        for operation in OPERATIONS
    }


def _run(rows: int, rounds: int, requests: int, extra: tuple[str, ...]) -> dict[str, Any]:
    started = time.monotonic()
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster.create(binaries=with_trigrams(), on_disk=True))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = be_like_production(cluster, extra)
        sides = [Side(cluster, name, count, folder) for name, count in (("small", SMALL), ("large", rows))]
        for side in sides:
            side.prepare()
        seeded = time.monotonic() - started
        load = stack.enter_context(generator.start())
        for side in sides:
            stack.enter_context(side.serving(load, SESSIONS * (rounds + 1) * requests))
        for operation, asked in OPERATIONS.items():
            measure(sides, operation, rounds, max(1, requests // asked.fewer))
        small, large = sides
        reports = {name: one.report() for name, one in large.measured.items()}
        sizes = large.population.sizes()
        return {
            "ratios": ratios(small, large),
            "large": {"rows": rows, "users": large.population.users, "bytes": sizes, **reports},
            "small": {"rows": SMALL, **{name: one.report() for name, one in small.measured.items()}},
            "refreshes_in_place": large.in_place(),
            "per_million_active_users": usage.per_million(reports, sizes, large.population),
            "use": asdict(usage.MODEL),
            "seconds": {"to_seed": round(seeded), "altogether": round(time.monotonic() - started)},
            "postgresql": {"server_version": cluster.execute("SHOW server_version"), **settings},
        }


@click.command()
@click.option("--rows", default=10_000_000, show_default=True, type=click.IntRange(20_000), help="Sessions.")
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1, 20), help="Stretches on each side.")
@click.option("--requests", default=300, show_default=True, type=click.IntRange(10, 2000), help="In each stretch.")
@click.option("--set", "extra", multiple=True, metavar="NAME=VALUE", help="A setting of PostgreSQL; may be repeated.")
@options
def main(rows: int, rounds: int, requests: int, extra: tuple[str, ...], mode: str | None) -> None:
    """Measure on a PostgreSQL of its own, as in production."""
    if mode == QUICK:
        rows, rounds, requests = 20_000, 1, 300
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end in order, and end what was started
    if SESSIONS * (rounds + 1) * requests > SMALL:
        raise click.UsageError(f"{SMALL} sessions are not enough for that: each of them is used once")
    if with_trigrams() is None:
        raise click.ClickException("no PostgreSQL with pg_trgm here; on Debian: apt-get install postgresql")
    surroundings = machine.describe()
    found = _run(rows, rounds, requests, extra)
    where = surroundings | {"postgresql": found["postgresql"]["server_version"]}
    keep("scale", found, where, mode=mode)


if __name__ == "__main__":
    main()
