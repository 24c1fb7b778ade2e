"""This service beside the floors and its peers: `python -m bench.compare`, or `make bench`."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import click

from bench import contestants, generator, machine
from bench.contestants import OURS, Contestant
from bench.cpu import worker_pss
from bench.floors import HASHING, PGBENCH, limits
from bench.installed import NotInstallableError, build_argon2
from bench.pages import OPERATIONS
from bench.publish import QUICK, keep, options
from bench.results import HEADLINE, SETTINGS, Results, Setting
from bench.running import Running, postmaster, prepare
from tests.support.postgres import Cluster

WARM_UP = 0.5  # seconds of each operation, before the rounds


@dataclass(frozen=True)
class Plan:
    """How long: rounds, and seconds for each stretch."""

    rounds: int = 5
    seconds: float = 2.0


SHORT = Plan(rounds=2, seconds=0.4)


@click.command()
@options
def main(mode: str | None) -> None:
    """Ask everybody in turns, and say what each request costs."""
    started, where = time.monotonic(), machine.describe()
    figures, versions = measure(SHORT if mode == QUICK else Plan())
    keep("compare", figures, where | versions, mode=mode)
    click.echo(f"{time.monotonic() - started:.0f} seconds", err=True)


def measure(plan: Plan) -> tuple[dict[str, Any], dict[str, str]]:
    """Everything, and the versions of who was asked.

    Raises:
        NotGrantedError: a server refused: the figures would be of something else.
    """
    with Cluster.create() as cluster, generator.start() as load:
        bench = Bench(cluster, load, plan)
        bench.prepare()
        for workers in dict.fromkeys(setting.workers for setting in SETTINGS):
            bench.measure_load(workers)
        server = cluster.execute("SHOW server_version")
    return bench.figures(), {"argon2": machine.argon2(), "postgresql": server} | machine.peers()


class Bench:
    """One run on a PostgreSQL of its own."""

    def __init__(self, cluster: Cluster, load: generator.Generator, plan: Plan) -> None:
        self._cluster = cluster
        self._load = load
        self._results = Results()
        self._loaded: dict[str, float] = {}
        self._skipped: list[str] = []
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

    @contextmanager
    def _left_out(self) -> Iterator[None]:
        """Go on without what cannot be installed here, and say so."""
        try:
            yield
        except NotInstallableError as error:
            self._skipped.append(str(error))

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
                    self._loaded[one.contestant.name] = worker_pss(one.pid)

    def figures(self) -> dict[str, Any]:
        """What is kept: also the MiB of a worker after load, and how busy the generator was at most."""
        pairs = [
            ((one.operation, name), (one.operation, one.name))
            for name in (OURS, HASHING)
            for one in self._results.series
            if one.setting == HEADLINE and one.name != name
        ]
        busy: dict[bool, float] = {}  # of the operations that are answered from memory, and of the others
        for one in self._results.series:
            share = max(stretch.generator_share for stretch in one.stretches)
            busy[one.operation == "verify"] = max(share, busy.get(one.operation == "verify", 0.0))
        generator_busy = {"verify": busy[True], "others": busy[False]}
        more = {"loaded_mib": self._loaded, "generator_busy": generator_busy, "skipped": self._skipped}
        return self._results.figures(pairs) | more

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
