"""Where a worker's CPU time goes: `python -m bench.hotspots refresh`."""

import json
import os
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import click

from bench import contestants, generator
from bench.contestants import OURS, ROOT, SECRET
from bench.cpu import cpu_seconds
from bench.generator import Job, Stretch
from bench.passkey_accounts import PasskeyAccounts
from bench.passkeys import ACCOUNTS, SIGN_INS
from bench.running import Running, postmaster, prepare
from tests.support.postgres import Cluster
from tests.support.server import wait_until

WARM_UP = 1.0  # seconds
PASSKEY, A_SECOND = "passkey", 1000  # sign-ins, as many as a CPU-second is long


@click.command()
@click.argument("operation", type=click.Choice(["login", "refresh", "me", "verify", "options", PASSKEY]))
@click.option("--seconds", default=8.0, show_default=True, help="How long the load is.")
@click.option("--connections", default=16, show_default=True, help="Connections that ask.")
@click.option("--lines", default=60, show_default=True, help="Functions to print.")
def main(operation: str, seconds: float, connections: int, lines: int) -> None:
    """Load one worker with one operation, and print the functions in which, or below which, most of its time was."""
    stacks = _sample(operation, seconds, connections)
    total = sum(stacks.values())
    below, inside = shares(stacks)
    for title, found in (("in it or below it", below), ("in it", inside)):
        click.echo(f"\n{title} ({total} samples)")
        for name, count in found.most_common(lines):
            click.echo(f"{count / total:6.1%} {name}")


def shares(stacks: dict[str, int]) -> tuple[Counter[str], Counter[str]]:
    """How often each function was in a stack, and how often it was the innermost of one."""
    below: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for stack, count in stacks.items():
        names = stack.split(";")
        inside[names[0]] += count
        for name in set(names):
            below[name] += count
    return below, inside


def _sample(operation: str, seconds: float, connections: int) -> dict[str, int]:
    with Cluster.create() as cluster, generator.start() as load, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks.json"
        ours = contestants.with_passkeys(contestants.ours(cluster))
        prepare(ours, cluster)
        accounts = PasskeyAccounts(cluster, SECRET, ACCOUNTS)
        sampled = [sys.executable, "-m", "bench.sampled", str(file)]
        # From `serve` on the words are the service's own.
        command = ours.command
        with Running(replace(ours, folder=ROOT, command=lambda *how: sampled + command(*how)[3:])) as running:
            accounts.make(ours.database)
            running.register(load)
            running.stay_signed_in(load)
            postgres = postmaster(cluster)

            def ask(length: float) -> Stretch:
                if operation != PASSKEY:
                    return running.measure(load, operation, connections, length, postgres)
                values = accounts.sign_ins(round(length * A_SECOND))  # each is good once
                return load.run(Job(running.port, SIGN_INS[OURS], values, [running.pid, postgres], connections))[0]

            ask(WARM_UP)
            os.kill(running.pid, signal.SIGUSR1)
            before, stretch = cpu_seconds([postgres]), ask(seconds)
            os.kill(running.pid, signal.SIGUSR1)
            of_postgres = (cpu_seconds([postgres]) - before) / stretch.answers
            wait_until(file.exists, 30, lambda: "the samples do not come")
            click.echo(f"{operation}: {stretch.per_cpu_second:.0f} requests per CPU-second, being sampled")
            each = 1 / stretch.per_cpu_second
            click.echo(f"each {(each - of_postgres) * 1e6:.0f} microseconds, and {of_postgres * 1e6:.0f} of PostgreSQL")
            found: dict[str, int] = json.loads(file.read_text())
            return found


if __name__ == "__main__":
    main()
