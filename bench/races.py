"""Forced races between what opens sessions and what ends them: `python -m bench.races`."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import click

from bench import machine
from tests.support.postgres import Cluster
from tests.support.processes import client_of
from tests.support.races import Gate, Races, Round
from tests.support.server import Server, run_command

DATABASE = "bench"


@click.command()
@click.option("--logins", default=150, show_default=True, help="Races of a login against a password change.")
@click.option("--logouts", default=500, show_default=True, help="Races of a logout against a refresh.")
@click.option("--refreshes", default=50, show_default=True, help="Races of refreshes against a password change.")
def main(logins: int, logouts: int, refreshes: int) -> None:
    """Play every race and say how many rounds went wrong; exit code 1 if any did."""
    with Cluster.create() as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.create_database(DATABASE)
        env = {
            "DATABASE_URL": cluster.url(DATABASE),
            "AUTH_SECRET_KEY": "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl",
            "AUTH_PASSWORD__ARGON2_MEMORY_KIB": "64",
            "AUTH_PASSWORD__ARGON2_TIME_COST": "1",
            "AUTH_THROTTLE__ENABLED": "false",
        }
        done = run_command("migrate", env=env, cwd=Path(folder))
        if done.returncode:
            raise click.ClickException(done.stdout + done.stderr)
        with Server(env, Path(folder)) as server:
            server.wait_ready()
            wrong = asyncio.run(_play(cluster.url(DATABASE), server, (logins, logouts, refreshes)))
    print(", ".join(f"{name} {value}" for name, value in machine.describe().items()))
    sys.exit(1 if wrong else 0)


async def _play(url: str, server: Server, rounds: tuple[int, int, int]) -> int:
    async with Gate.to(url) as gate, client_of(server) as client:
        races = Races(gate, client)
        await races.somebody()
        logins, logouts, refreshes = rounds
        return (
            await _count("login (old password) against password change", races.login_against_password_change, logins)
            + await _count("logout against refresh", races.logout_against_refresh, logouts)
            + await _count("five refreshes against password change", races.refreshes_against_password_change, refreshes)
            + await _count(
                "five refreshes of the session that changes the password",
                races.own_refreshes_against_password_change,
                refreshes,
            )
        )


async def _count(name: str, one: Round, rounds: int) -> int:
    started = time.monotonic()
    found = [wrong for _ in range(rounds) if (wrong := await one())]
    print(f"{name}: {len(found)} of {rounds} rounds went wrong ({time.monotonic() - started:.1f} s)")
    for wrong in found[:3]:
        print(f"  {'; '.join(wrong)}")
    return len(found)


if __name__ == "__main__":
    main()
