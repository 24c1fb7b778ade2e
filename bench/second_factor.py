"""What the second factor costs, those who have one and those who have none: `python -m bench.second_factor`."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click

from bench import contestants, generator, machine
from bench.contestants import BEFORE, FLOOR, OURS, SECRET, Contestant
from bench.exchanges import CODE, VALUE, post
from bench.generator import Generator, Job, Stretch
from bench.results import HEADLINE, Results, ratio_of
from bench.running import Running, postmaster, prepare
from bench.totp_accounts import TotpAccounts
from tests.support.client import PASSWORD
from tests.support.postgres import Cluster

UNCOUNTED = "this service without limits of attempts"
LOGIN, WHOLE, SECOND = "login", "login with TOTP", "second step"
UNCHANGED = (LOGIN, "refresh", "me", "verify")  # of accounts without a factor
LONGER = 2  # times as long are stretches of logins, each of which costs as much as many of the others
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
        """One stretch of everything; who comes first takes turns too."""
        for operation in UNCHANGED:
            for name in self._in_turn(turn, OURS, BEFORE):
                yield operation, name, self._unchanged(operation, self.running[name])
            if operation == LOGIN:
                yield WHOLE, OURS, self._whole(self.running[OURS])
        for name in self._in_turn(turn, OURS, UNCOUNTED, FLOOR):
            yield SECOND, name, self._second(self.running[name])

    def _in_turn(self, turn: int, *names: str) -> list[str]:
        found = [name for name in names if name in self.running]
        return found[turn % len(found) :] + found[: turn % len(found)]

    def _unchanged(self, operation: str, server: Running) -> Stretch:
        server.stay_signed_in(self.load)
        seconds = self.seconds * (LONGER if operation == LOGIN else 1)
        return server.measure(self.load, operation, HEADLINE.connections, seconds, self.postgres)

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
@click.option("--before", type=click.Path(path_type=Path, exists=True), help="Another checkout, with its .venv.")
def main(rounds: int, seconds: float, before: Path | None) -> None:
    """Ask this service, the bare floor and perhaps another checkout in turns."""
    results = Results(machine.describe())
    with Cluster.create() as cluster, generator.start() as load, ExitStack() as stack:
        servers = _servers(cluster, before)
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
        for turn in range(rounds + 1):
            for operation, name, stretch in bench.round(turn):
                if turn:  # the first warms up
                    results.add(operation, name, HEADLINE, stretch)
    click.echo("\n".join(_told(results)))
    click.echo(", ".join(f"{name} {value}" for name, value in results.machine.items()))


def _servers(cluster: Cluster, before: Path | None) -> list[Contestant]:
    """Each on a database of its own; the same service without limits of attempts on that of the one with them."""
    ours = contestants.ours(cluster)
    uncounted = replace(ours, name=UNCOUNTED, env=ours.env | {"AUTH_THROTTLE__ENABLED": "false"})
    other = [contestants.other(cluster, before)] if before else []
    return [ours, uncounted, contestants.floor(cluster), *other]


def _told(results: Results) -> Iterator[str]:
    """Each operation beside what it is compared with: the median of the rounds' own ratios."""
    pairs = [((operation, OURS), (operation, BEFORE)) for operation in UNCHANGED]
    pairs += [((WHOLE, OURS), (LOGIN, OURS)), ((SECOND, OURS), (SECOND, FLOOR)), ((SECOND, UNCOUNTED), (SECOND, FLOOR))]
    for (operation, name), (other, beside) in pairs:
        found, compared = results.find(operation, name), results.find(other, beside)
        assert found
        line = f"{operation}, {name}: {found.per_cpu_second:,.1f} per CPU-second"
        if compared:
            line += f", {ratio_of(found, compared):.3f} of {other}, {beside}: {compared.per_cpu_second:,.1f}"
        yield line


if __name__ == "__main__":
    sys.exit(main())
