"""What a sign-in with a passkey costs, and what passkeys cost who has none: `python -m bench.passkeys`."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import click

from bench import contestants, generator, machine, passkey_verification
from bench.contestants import FLOOR, OURS, SECRET
from bench.cpu import worker_pss
from bench.exchanges import VALUE, Exchange, post
from bench.generator import Generator, Job, Stretch
from bench.passkey_accounts import ORIGIN, RP_ID, PasskeyAccounts
from bench.results import HEADLINE, Results, ratio_of
from bench.running import Running, postmaster, prepare
from tests.support.postgres import Cluster

PASSWORD, PASSKEY, OPTIONS, BARE = "login with a password", "login with a passkey", "options", "bare route"
WITHOUT = "this service without passkeys"
EACH, ACCOUNTS = 1000, 2000
IDLE = 1.0  # seconds after the first answer, before memory is read


def _body(path: str) -> Exchange:
    return replace(post(path, {}), body=VALUE)


_SIGN_INS = {OURS: _body("/auth/passkeys/login"), FLOOR: _body("/passkey")}
_OPTIONS = post("/auth/passkeys/options", {})
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
        watched = [ours.pid, self.postgres]
        yield OPTIONS, OURS, self.load.run(Job(ours.port, _OPTIONS, [""], watched, seconds=self.seconds))[0]
        watched = [floor.pid, self.postgres]
        yield BARE, FLOOR, self.load.run(Job(floor.port, _BARE, [""], watched, seconds=self.seconds))[0]

    def _sign_ins(self, name: str) -> Stretch:
        server, values = self.running[name], self.accounts[name].sign_ins(EACH)
        return self.load.run(Job(server.port, _SIGN_INS[name], values, [server.pid, self.postgres]))[0]


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Stretches of each operation for each server.")
@click.option(
    "--seconds", default=1.0, show_default=True, help="How long a stretch is; one of passwords, twice as long."
)
def main(rounds: int, seconds: float) -> None:
    """Ask this service, with passkeys and without, and the bare floor in turns."""
    results = Results(machine.describe())
    with Cluster.create() as cluster, generator.start() as load, ExitStack() as stack:
        without = contestants.deployed(contestants.ours(cluster))
        ours = replace(without, env=without.env | {"AUTH_PASSKEYS__RP_ID": RP_ID, "AUTH_PASSKEYS__ORIGINS": ORIGIN})
        floor = contestants.floor(cluster)
        accounts = {}
        for one in (ours, floor):
            prepare(one, cluster)
            accounts[one.name] = PasskeyAccounts(cluster, SECRET, ACCOUNTS)
        idle = {WITHOUT: _idle(Running(without)), OURS: _idle(Running(ours))}
        running = {one.name: stack.enter_context(Running(one)) for one in (ours, floor)}
        for name, some in accounts.items():
            some.make(running[name].contestant.database)
        running[OURS].register(load)
        running[FLOOR].register(load)
        bench = Bench(running, accounts, load, postmaster(cluster), seconds)
        for turn in range(rounds + 1):
            for operation, name, stretch in bench.round(turn):
                if turn:  # the first warms up
                    results.add(operation, name, HEADLINE, stretch)
    click.echo("\n".join(_told(results)))
    ours_us, bare_us, ratio = passkey_verification.compare(rounds)
    click.echo(f"verification: {ours_us:.1f} us, {ratio:.3f} of bare ES256: {bare_us:.1f} us")
    click.echo(f"idle, PSS: {idle[WITHOUT]:.1f} MiB without passkeys, {idle[OURS]:.1f} MiB with them")
    click.echo(", ".join(f"{name} {value}" for name, value in results.machine.items()))


def _idle(server: Running) -> float:
    """MiB of a server that nobody asks anything."""
    with server:
        time.sleep(IDLE)
        return worker_pss(server.pid)


def _told(results: Results) -> Iterator[str]:
    """Each operation beside what it is compared with: the median of the rounds' own ratios."""
    pairs = [
        ((PASSKEY, OURS), (PASSWORD, OURS)),
        ((PASSKEY, OURS), (PASSKEY, FLOOR)),
        ((OPTIONS, OURS), (BARE, FLOOR)),
    ]
    for (operation, name), (other, beside) in pairs:
        found, compared = results.find(operation, name), results.find(other, beside)
        assert found
        assert compared
        yield (
            f"{operation}, {name}: {found.per_cpu_second:,.1f} per CPU-second, {ratio_of(found, compared):.3f} of "
            f"{other}, {beside}: {compared.per_cpu_second:,.1f}"
        )


if __name__ == "__main__":
    sys.exit(main())
