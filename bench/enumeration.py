"""Can the time of a refused login tell who has an account? `python -m bench.enumeration`."""

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

import argon2
import bcrypt
import click
import httpx

from bench import machine
from tests.support.client import PASSWORD, Client
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command
from tests.support.sql import run_sql

CLASSES = ("unknown", "wrong password", "disabled", "older cheaper argon2", "older dearer argon2", "bcrypt")
LEARNING = 10  # rounds before the figures: the first verification of a dearer kind teaches the process its time
WITHIN_PERCENT, WITHIN_MS = 5.0, 3.0


@click.command()
@click.option(
    "--samples", default=300, show_default=True, help="Refused logins of each kind, by turns in random order."
)
def main(samples: int) -> None:
    """Measure, print the median of each kind, and end with code 1 if two of them are apart."""
    with Cluster.create() as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.create_database("enumeration")
        url = cluster.url("enumeration")
        env = {
            "DATABASE_URL": url,
            "AUTH_SECRET_KEY": "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl",
            "AUTH_THROTTLE__ENABLED": "false",  # what is measured is the answer to a guess that is let through
        }
        done = run_command("migrate", env=env, cwd=Path(folder))
        if done.returncode:
            raise click.ClickException(done.stdout + done.stderr)
        with Server(env, Path(folder)) as server:
            server.wait_ready()
            found = asyncio.run(_measure(server.base_url, url, samples))
    medians = {name: statistics.median(seconds) * 1000 for name, seconds in found.items()}
    for name, seconds in found.items():
        low, high = (1000 * at for at in statistics.quantiles(seconds, n=20)[::18])
        print(f"{name}: median {medians[name]:.2f} ms, 5 % to 95 % {low:.1f} to {high:.1f} ms over {len(seconds)}")
    apart = max(medians.values()) - min(medians.values())
    percent = 100 * apart / min(medians.values())
    print(f"medians apart by {apart:.2f} ms, {percent:.1f} %")
    print(", ".join(f"{name} {value}" for name, value in machine.describe().items()))
    if apart > WITHIN_MS and percent > WITHIN_PERCENT:
        raise click.ClickException(f"more than {WITHIN_PERCENT} % and {WITHIN_MS} ms")


async def _measure(base_url: str, url: str, samples: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in CLASSES}
    async with Client(base_url=base_url, trust_env=False, timeout=30) as client:
        for name in CLASSES[1:]:
            (await client.register(_email(name))).raise_for_status()
        await _age(url)
        for number in range(LEARNING + samples):
            for name in random.sample(CLASSES, len(CLASSES)):
                seconds = await _refused(client, _email(name))
                if number >= LEARNING:
                    found[name].append(seconds)
    return found


async def _age(url: str) -> None:
    """Give three accounts a hash of another day, and disable one."""
    hashes = {
        "older cheaper argon2": argon2.PasswordHasher(memory_cost=12288, time_cost=1, parallelism=1).hash(PASSWORD),
        "older dearer argon2": argon2.PasswordHasher(memory_cost=19456, time_cost=4, parallelism=1).hash(PASSWORD),
        "bcrypt": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode(),
    }
    for name, hashed in hashes.items():
        statement = "UPDATE users SET hashed_password = $1 WHERE email_canonical = $2"
        await run_sql(url, statement, hashed, _email(name))
    await run_sql(url, "UPDATE users SET is_active = false WHERE email_canonical = $1", _email("disabled"))


def _email(name: str) -> str:
    return f"{name.replace(' ', '-')}@example.com"


async def _refused(client: Client, email: str) -> float:
    started = time.perf_counter()
    answer = await client.login(email, "not the password at all")
    seconds = time.perf_counter() - started
    if answer.status_code != httpx.codes.UNAUTHORIZED:
        raise click.ClickException(f"{answer.status_code} {answer.text}")
    return seconds


if __name__ == "__main__":
    main()
