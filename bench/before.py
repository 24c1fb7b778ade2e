"""This service beside another checkout of it: `python -m bench.before FOLDER`."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from bench import contestants, generator, machine
from bench.contestants import BEFORE, OURS, USERS
from bench.results import HEADLINE, Results
from bench.running import Running, postmaster, prepare
from tests.support.postgres import Cluster

OPERATIONS = ("refresh", "me", "verify")
AGAIN = "this service again"  # how far it is from itself is the spread


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=31, show_default=True, help="Stretches of each operation for each server.")
@click.option("--seconds", default=0.5, show_default=True, help="How long each stretch is.")
def main(folder: Path, rounds: int, seconds: float) -> None:
    """Ask this service, the checkout in FOLDER, which has its .venv, and this service once more in turns."""
    results = Results(machine.describe())
    users = USERS[: HEADLINE.connections]
    with Cluster.create() as cluster, generator.start() as load, ExitStack() as stack:
        ours = contestants.ours(cluster)
        again = replace(ours, name=AGAIN, database="again", env=ours.env | {"DATABASE_URL": cluster.url("again")})
        running = []
        for server in (ours, contestants.other(cluster, folder), again):
            prepare(server, cluster)
            running.append(stack.enter_context(Running(server)))
            running[-1].register(load, users)
        for turn in range(rounds + 1):  # the first warms up
            order = running[turn % len(running) :] + running[: turn % len(running)]
            for operation in OPERATIONS:
                for one in order:
                    one.stay_signed_in(load, users)
                    stretch = one.measure(load, operation, HEADLINE.connections, seconds, postmaster(cluster))
                    if turn:
                        results.add(operation, one.contestant.name, HEADLINE, stretch)
    for operation in OPERATIONS:
        _tell(results, operation)
    click.echo(", ".join(f"{name} {value}" for name, value in results.machine.items()))


def _tell(results: Results, operation: str) -> None:
    """The median of the rounds' own ratios."""
    found = results.find(operation, OURS)
    assert found
    ratios = ", ".join(f"{results.ratio(operation, name, BEFORE):.3f}" for name in (OURS, AGAIN))
    spread = results.ratio(operation, AGAIN, OURS)
    click.echo(
        f"{operation}: {found.per_cpu_second:,.0f} per CPU-second, {ratios} of {BEFORE}; "
        f"the same again {spread:.3f} of the first"
    )


if __name__ == "__main__":
    sys.exit(main())
