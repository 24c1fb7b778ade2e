"""What a sign-in with a passkey costs: `python -m bench.passkeys`."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import click

from bench import contestants, generator, machine, passkey_verification
from bench.contestants import FLOOR, OURS, SECRET
from bench.exchanges import VALUE, Exchange, post
from bench.generator import Generator, Job, Stretch
from bench.passkey_accounts import PasskeyAccounts
from bench.publish import QUICK, keep, options
from bench.results import HEADLINE, Results
from bench.running import Running, postmaster, prepare
from bench.targets import BARE, OPTIONS, PASSKEY, PASSWORD
from tests.support.postgres import Cluster

EACH, ACCOUNTS = 1000, 2000
PAIRS = (
    ((PASSKEY, OURS), (PASSWORD, OURS)),
    ((PASSKEY, OURS), (PASSKEY, FLOOR)),
    ((OPTIONS, OURS), (BARE, FLOOR)),
)


def _body(path: str) -> Exchange:
    return replace(post(path, {}), body=VALUE)


SIGN_INS = {OURS: _body("/auth/passkeys/login"), FLOOR: _body("/passkey")}
_BARE = post("/options", {})


@dataclass(frozen=True)
class Bench:
    """Everything that runs; `accounts` are by the name of a contestant."""

    running: dict[str, Running]
    accounts: dict[str, PasskeyAccounts]
    load: Generator
    postgres: int
    seconds: float

    def round(self, turn: int) -> Iterator[tuple[str, str, Stretch]]:
        """One stretch of everything; who comes first takes turns too."""
        ours, floor = self.running[OURS], self.running[FLOOR]
        ours.stay_signed_in(self.load)
        yield PASSWORD, OURS, ours.measure(self.load, "login", HEADLINE.connections, 2 * self.seconds, self.postgres)
        for name in (OURS, FLOOR) if turn % 2 else (FLOOR, OURS):
            yield PASSKEY, name, self._sign_ins(name)
        yield OPTIONS, OURS, ours.measure(self.load, "options", HEADLINE.connections, self.seconds, self.postgres)
        watched = [floor.pid, self.postgres]
        yield BARE, FLOOR, self.load.run(Job(floor.port, _BARE, [""], watched, seconds=self.seconds))[0]

    def _sign_ins(self, name: str) -> Stretch:
        server, values = self.running[name], self.accounts[name].sign_ins(EACH)
        return self.load.run(Job(server.port, SIGN_INS[name], values, [server.pid, self.postgres]))[0]


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Stretches of each operation for each server.")
@click.option(
    "--seconds", default=1.0, show_default=True, help="How long a stretch is; one of passwords, twice as long."
)
@options
def main(rounds: int, seconds: float, mode: str | None) -> None:
    """Ask this service and the bare floor in turns."""
    where, results = machine.describe(), Results()
    rounds, seconds = (1, 0.3) if mode == QUICK else (rounds, seconds)
    with Cluster.create() as cluster, generator.start() as load, ExitStack() as stack:
        ours, floor = contestants.with_passkeys(contestants.ours(cluster)), contestants.floor(cluster)
        accounts = {}
        for one in (ours, floor):
            prepare(one, cluster)
            accounts[one.name] = PasskeyAccounts(cluster, SECRET, ACCOUNTS)
        running = {one.name: stack.enter_context(Running(one)) for one in (ours, floor)}
        for name, some in accounts.items():
            some.make(running[name].contestant.database)
        running[OURS].register(load)
        running[FLOOR].register(load)
        bench = Bench(running, accounts, load, postmaster(cluster), seconds)
        where |= {"postgresql": cluster.execute("SHOW server_version")}
        for turn in range(rounds + 1):
            for operation, name, stretch in bench.round(turn):
                if turn:  # the first warms up
                    results.add(operation, name, HEADLINE, stretch)
    verified = dict(zip(("ours_us", "bare_us", "ratio"), passkey_verification.compare(rounds), strict=True))
    keep("passkeys", results.figures(PAIRS) | {"verification": verified}, where, mode=mode)


if __name__ == "__main__":
    sys.exit(main())
