"""This service beside the floors and its peers: `python -m bench.compare`, or `make bench`."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from bench import contestants, generator, machine
from bench.contestants import ROOT, Contestant
from bench.cpu import worker_pss
from bench.floors import HASHING, PGBENCH, limits
from bench.installed import NotInstallableError, build_argon2
from bench.plot import svg
from bench.publish import publish
from bench.results import HEADLINE, SETTINGS, Results, Setting, Starts
from bench.running import Running, postmaster, prepare
from bench.table import OPERATIONS, page
from tests.support.postgres import Cluster

IDLE = 1.0  # seconds after the first answer, before memory is read
WARM_UP = 0.5  # seconds of each operation, before the rounds


@dataclass(frozen=True)
class Plan:
    """How long: rounds, seconds for each stretch, and starts of each server."""

    rounds: int = 5
    seconds: float = 2.0
    starts: int = 5


QUICK = Plan(rounds=2, seconds=0.4, starts=1)


@click.command()
@click.option(
    "--quick", is_flag=True, help="Short stretches and two rounds: shows that everything runs, and little more."
)
@click.option(
    "--into", default="dist/bench", show_default=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--publish", "to_docs", is_flag=True, help="Put tables and plot into docs/ and the README too.")
@click.option(
    "--results", type=click.Path(exists=True, path_type=Path), help="Measure nothing; take this results.json."
)
def main(quick: bool, into: Path, to_docs: bool, results: Path | None) -> None:
    """Measure, and write results.json, table.md and plot.svg."""
    started = time.monotonic()
    into.mkdir(parents=True, exist_ok=True)
    found = Results.read(results) if results else measure(QUICK if quick else Plan())
    found.write(into / "results.json")
    (into / "table.md").write_text(page(found))
    (into / "plot.svg").write_text(svg(found))
    if to_docs:
        publish(found, ROOT)
    click.echo(page(found))
    click.echo(f"{time.monotonic() - started:.0f} seconds; written to {into}", err=True)


def measure(plan: Plan) -> Results:
    """Everything; raises what a server refused, because then the figures would be of something else."""
    results = Results(machine.describe())
    with Cluster.create() as cluster, generator.start() as load:
        bench = Bench(cluster, load, results, plan)
        bench.prepare()
        bench.measure_starts()
        for workers in dict.fromkeys(setting.workers for setting in SETTINGS):
            bench.measure_load(workers)
    return results


class Bench:
    """One run on a PostgreSQL of its own."""

    def __init__(self, cluster: Cluster, load: generator.Generator, results: Results, plan: Plan) -> None:
        self._cluster = cluster
        self._load = load
        self._results = results
        self._plan = plan
        self._postmaster = postmaster(cluster)
        self._contestants: list[Contestant] = []

    def prepare(self) -> None:
        """Install the peers and our build of Argon2, and make everybody's tables."""
        with self._left_out():
            build_argon2()
        for make in contestants.ALL:
            with self._left_out():
                self._contestants.append(make(self._cluster))
        for contestant in self._contestants:
            _say(f"preparing {contestant.name}")
            prepare(contestant, self._cluster)
        self._cluster.create_database(PGBENCH, template="floor")
        server = self._cluster.execute("SHOW server_version")
        self._results.machine |= {"argon2": machine.argon2(), "postgresql": server} | machine.peers()

    @contextmanager
    def _left_out(self) -> Iterator[None]:
        """Go on without what cannot be installed here, and say so."""
        try:
            yield
        except NotInstallableError as error:
            self._results.skipped.append(str(error))

    def measure_starts(self) -> None:
        """One after the other, each alone: until the first answer, and the memory a second later."""
        for number in range(self._plan.starts):
            _say(f"starts {number + 1} of {self._plan.starts}")
            for contestant in self._contestants:
                with Running(contestants.deployed(contestant)) as running:
                    found = self._results.starts.setdefault(contestant.name, Starts())
                    found.seconds.append(running.seconds_to_first_answer)
                    time.sleep(IDLE)
                    found.idle.append(worker_pss(running.pid))

    def measure_load(self, workers: int) -> None:
        """Everybody's servers at once, each asked in turn while the others idle."""
        with ExitStack() as stack:
            running = [stack.enter_context(self._start(contestant, workers)) for contestant in self._contestants]
            for one in running:
                one.stay_signed_in(self._load)
                self._warm_up(one)
            for number in range(self._plan.rounds):
                for setting in (setting for setting in SETTINGS if setting.workers == workers):
                    _say(f"{setting}, round {number + 1} of {self._plan.rounds}")
                    for one in running:
                        one.stay_signed_in(self._load)
                    self._round(running, setting)
            if workers == SETTINGS[0].workers:
                for one in running:
                    self._results.starts[one.contestant.name].loaded.append(worker_pss(one.pid))

    def _start(self, contestant: Contestant, workers: int) -> Running:
        if contestant.seed:
            self._cluster.execute(contestant.seed, contestant.database)
        running = Running(contestant, workers)
        try:
            if workers == SETTINGS[0].workers:
                running.register(self._load)
        except BaseException:
            running.close()
            raise
        return running

    def _warm_up(self, one: Running) -> None:
        """Pools fill, statements are prepared and code is compiled before the figures."""
        for operation in one.contestant.operations:
            one.measure(self._load, operation, HEADLINE.connections, WARM_UP, self._postmaster)

    def _round(self, running: list[Running], setting: Setting) -> None:
        for operation in OPERATIONS:
            able = [one for one in running if operation in one.contestant.operations]
            for one in able:
                stretch = one.measure(self._load, operation, setting.connections, self._plan.seconds, self._postmaster)
                self._results.add(operation, one.contestant.name, setting, stretch)
            for name, stretch in self._limits(operation, setting):
                self._results.add(operation, name, setting, stretch)

    def _limits(self, operation: str, setting: Setting) -> Iterator[tuple[str, generator.Stretch]]:
        if operation == "login":
            threads = min(setting.connections, len(os.sched_getaffinity(0)))
            yield HASHING, limits.hash_only(threads, self._plan.seconds)
        elif operation == "refresh":
            yield (
                PGBENCH,
                limits.pgbench(self._cluster, PGBENCH, self._postmaster, setting.connections, self._plan.seconds),
            )


def _say(what: str) -> None:
    click.echo(what, err=True)


if __name__ == "__main__":
    main()
