"""What the second factor costs: `python -m bench.second_factor`."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import click

from bench import contestants, generator, machine
from bench.contestants import FLOOR, OURS, SECRET, Contestant
from bench.exchanges import CODE, VALUE, post
from bench.generator import Generator, Job, Stretch
from bench.publish import QUICK, keep, options
from bench.results import HEADLINE, Results
from bench.running import Running, postmaster, prepare
from bench.targets import LOGIN, SECOND, UNCOUNTED, WHOLE
from bench.totp_accounts import TotpAccounts
from tests.support.client import PASSWORD
from tests.support.postgres import Cluster

LONGER = 2  # times as long are stretches of logins, each of which costs as much as many of the others
PAIRS = (
    ((WHOLE, OURS), (LOGIN, OURS)),
    ((SECOND, OURS), (SECOND, FLOOR)),
    ((SECOND, UNCOUNTED), (SECOND, FLOOR)),
)
WHOLE_EACH, SECOND_EACH = 80, 1000  # accounts of a stretch: nobody signs in twice

_ANSWER = {"challenge": VALUE, "code": CODE}
_CHALLENGE = r'"challenge":"(?P<challenge>[^"]+)"'
_PASSWORD = post("/auth/login", {"email": VALUE, "password": PASSWORD}, pick=_CHALLENGE, chain="challenge")
FIRST_STEP = replace(_PASSWORD, granted="403")
SECOND_STEP = post("/auth/login/second-factor", _ANSWER)
_SECOND_STEPS = {OURS: SECOND_STEP, UNCOUNTED: SECOND_STEP, FLOOR: post("/second-factor", _ANSWER)}


@dataclass(frozen=True)
class Bench:
    """Everything that runs; `accounts` are by the name of a database."""

    running: dict[str, Running]
    accounts: dict[str, TotpAccounts]
    load: Generator
    postgres: int
    seconds: float

    def round(self, turn: int) -> Iterator[tuple[str, str, Stretch]]:
        """One stretch of everything; who comes first takes turns."""
        yield LOGIN, OURS, self._password(self.running[OURS])
        yield WHOLE, OURS, self._whole(self.running[OURS])
        for name in self._in_turn(turn, OURS, UNCOUNTED, FLOOR):
            yield SECOND, name, self._second(self.running[name])

    @staticmethod
    def _in_turn(turn: int, *names: str) -> tuple[str, ...]:
        return names[turn % len(names) :] + names[: turn % len(names)]

    def _password(self, server: Running) -> Stretch:
        return server.measure(self.load, LOGIN, HEADLINE.connections, LONGER * self.seconds, self.postgres)

    def _whole(self, server: Running) -> Stretch:
        values = self.accounts[server.contestant.database].logins(WHOLE_EACH)
        job = Job(server.port, FIRST_STEP, values, [server.pid, self.postgres], second=SECOND_STEP)
        stretch, _ = self.load.run(job)
        return replace(stretch, answers=stretch.answers // 2)  # two of them are one sign-in

    def _second(self, server: Running) -> Stretch:
        exchange = _SECOND_STEPS[server.contestant.name]
        values = self.accounts[server.contestant.database].second_steps(SECOND_EACH)
        return self.load.run(Job(server.port, exchange, values, [server.pid, self.postgres]))[0]


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Stretches of each operation for each server.")
@click.option("--seconds", default=1.0, show_default=True, help="How long a stretch is; one of logins, twice as long.")
@options
def main(rounds: int, seconds: float, mode: str | None) -> None:
    """Ask this service and the bare floor in turns."""
    where, results = machine.describe(), Results()
    rounds, seconds = (1, 0.3) if mode == QUICK else (rounds, seconds)
    with Cluster.create() as cluster, generator.start() as load, ExitStack() as stack:
        servers = _servers(cluster)
        databases = {one.database: one for one in reversed(servers)}  # of two with one database, the first
        for server in databases.values():
            prepare(server, cluster)
        running = {server.name: stack.enter_context(Running(server)) for server in servers}
        for server in databases.values():
            running[server.name].register(load)
        accounts = {running[name].contestant.database: TotpAccounts(cluster, SECRET) for name in (OURS, FLOOR)}
        for database, some in accounts.items():
            some.make(database, (rounds + 1) * (WHOLE_EACH + 2 * SECOND_EACH))
        bench = Bench(running, accounts, load, postmaster(cluster), seconds)
        where |= {"postgresql": cluster.execute("SHOW server_version")}
        for turn in range(rounds + 1):
            for operation, name, stretch in bench.round(turn):
                if turn:  # the first warms up
                    results.add(operation, name, HEADLINE, stretch)
    keep("second_factor", results.figures(PAIRS), where, mode=mode)


def _servers(cluster: Cluster) -> list[Contestant]:
    """Each on a database of its own; the same service without limits of attempts on that of the one with them."""
    ours = contestants.ours(cluster)
    uncounted = replace(ours, name=UNCOUNTED, env=ours.env | {"AUTH_THROTTLE__ENABLED": "false"})
    return [ours, uncounted, contestants.floor(cluster)]


if __name__ == "__main__":
    sys.exit(main())
