"""Has the hot path become slower? Compares two ratios with those that are kept: `python -m bench.regression`.

A ratio to the bare floor in the same run is nearly the same on any machine, but only nearly: the bound is wide.
"""

import json
import sys
from pathlib import Path

import click

from bench import contestants, generator
from bench.contestants import FLOOR, OURS, USERS
from bench.results import HEADLINE, Results
from bench.running import Running, postmaster, prepare
from tests.support.postgres import Cluster

REFERENCE = Path(__file__).with_name("reference.json")
OPERATIONS = ("refresh", "verify")
BOUND = 0.6  # of the kept ratio


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Stretches for each thing that is compared.")
@click.option("--seconds", default=1.0, show_default=True, help="How long each stretch is.")
@click.option("--keep", is_flag=True, help="Make this run the reference.")
def main(rounds: int, seconds: float, keep: bool) -> None:
    """Measure, print, and end with code 1 if a ratio has fallen below 0.6 of the reference."""
    results = measure(rounds, seconds)
    found = {one: round(results.ratio((one, OURS), (one, FLOOR)) or 0.0, 3) for one in OPERATIONS}
    if keep:
        REFERENCE.write_text(json.dumps(found, indent=2) + "\n")
    reference = json.loads(REFERENCE.read_text())
    fallen = [one for one in OPERATIONS if has_fallen(found[one], reference[one])]
    for one in OPERATIONS:
        verdict = "SLOWER" if one in fallen else "fine"
        click.echo(f"{one}: {found[one]:.3f} of the floor, kept {reference[one]:.3f}: {verdict}")
    sys.exit(1 if fallen else 0)


def has_fallen(found: float, kept: float) -> bool:
    """Whether a ratio is so much below the one that is kept that noise does not explain it."""
    return found < BOUND * kept


def measure(rounds: int, seconds: float) -> Results:
    """This service and the floor in turn, one worker and 16 connections each."""
    results = Results()
    with Cluster.create() as cluster, generator.start() as load:
        ours, floor = contestants.ours(cluster), contestants.floor(cluster)
        for contestant in (ours, floor):
            prepare(contestant, cluster)
        cluster.execute(floor.seed, floor.database)
        with Running(ours) as first, Running(floor) as second:
            first.register(load, USERS[: HEADLINE.connections])
            first.stay_signed_in(load, USERS[: HEADLINE.connections])
            for _ in range(rounds):
                for operation in OPERATIONS:
                    for one in (first, second):
                        stretch = one.measure(load, operation, HEADLINE.connections, seconds, postmaster(cluster))
                        results.add(operation, one.contestant.name, HEADLINE, stretch)
    return results


if __name__ == "__main__":
    main()
