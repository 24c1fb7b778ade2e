"""This service beside another checkout of it: `python -m bench.before FOLDER`."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from bench import contestants, generator, machine
from bench.contestants import BEFORE as OTHER
from bench.contestants import OURS
from bench.figures import commit
from bench.publish import QUICK, keep, options
from bench.results import HEADLINE, Results
from bench.running import Running, postmaster, prepare
from bench.targets import BEFORE, CHANGED
from tests.support.postgres import Cluster

AGAIN = "this service again"  # how far it is from itself is the spread
LONGER = 2  # times as long are stretches of logins, each of which costs as much as many of the others
PAIRS = [((one, name), (one, OTHER)) for one in CHANGED for name in (OURS, AGAIN)]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=21, show_default=True, help="Stretches of each operation for each server.")
@click.option("--seconds", default=0.5, show_default=True, help="How long a stretch is; one of logins, twice as long.")
@options
def main(folder: Path, rounds: int, seconds: float, mode: str | None) -> None:
    """Ask this service, the checkout in FOLDER, which has its .venv, and this service once more in turns."""
    where, results = machine.describe(), Results()
    rounds, seconds = (1, 0.3) if mode == QUICK else (rounds, seconds)
    with Cluster.create() as cluster, generator.start() as load, ExitStack() as stack:
        ours = contestants.ours(cluster)
        again = replace(ours, name=AGAIN, database="again", env=ours.env | {"DATABASE_URL": cluster.url("again")})
        running = []
        for server in (ours, contestants.other(cluster, folder), again):
            prepare(server, cluster)
            running.append(stack.enter_context(Running(server)))
            running[-1].register(load)
        where |= {"postgresql": cluster.execute("SHOW server_version")}
        for turn in range(rounds + 1):  # the first warms up
            order = running[turn % len(running) :] + running[: turn % len(running)]
            for operation in CHANGED:
                length = seconds * (LONGER if operation == "login" else 1)
                for one in order:
                    one.stay_signed_in(load)
                    stretch = one.measure(load, operation, HEADLINE.connections, length, postmaster(cluster))
                    if turn:
                        results.add(operation, one.contestant.name, HEADLINE, stretch)
    keep(f"{BEFORE}{commit(folder)}", results.figures(PAIRS), where, mode=mode)


if __name__ == "__main__":
    sys.exit(main())
