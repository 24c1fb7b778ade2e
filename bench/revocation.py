"""From the acknowledgement of a logout in one process to the first 401 in another: `python -m bench.revocation`."""

import asyncio
import random
import statistics
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import click
import httpx

from bench import machine
from tests.support.client import Client
from tests.support.postgres import Cluster
from tests.support.processes import Pair
from tests.support.server import run_command

EMAIL = "bench@example.com"
POLL_INTERVAL = 1.0  # seconds, the default
FEEDS = {"with LISTEN": "true", "by the poll alone": "false"}


@click.command()
@click.option("--rounds", default=200, show_default=True, help="Logouts for each of the two feeds, by turns.")
def main(rounds: int) -> None:
    """Measure, and print the median, the 99th percentile and the longest of each feed."""
    with Cluster.create() as cluster, tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        pairs = {name: _start(name, cluster, Path(folder), stack) for name in FEEDS}
        found = asyncio.run(_measure(pairs, rounds))
    for name, seconds in found.items():
        median, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100, method="inclusive")[98]
        figures = f"median {median * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, longest {max(seconds) * 1000:.1f} ms"
        print(f"{name}: {figures} over {len(seconds)}")
    print(", ".join(f"{name} {value}" for name, value in machine.describe().items()))


def _start(name: str, cluster: Cluster, folder: Path, stack: ExitStack) -> Pair:
    """Processes A and B with this feed, on a database of their own."""
    database = name.replace(" ", "_").lower()
    cluster.create_database(database)
    env = {
        "DATABASE_URL": cluster.url(database),
        "AUTH_SECRET_KEY": "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl",
        "AUTH_REVOCATIONS__LISTEN": FEEDS[name],
        "AUTH_PASSWORD__ARGON2_MEMORY_KIB": "64",
        "AUTH_PASSWORD__ARGON2_TIME_COST": "1",
        "AUTH_THROTTLE__ENABLED": "false",
    }
    done = run_command("migrate", env=env, cwd=folder)
    if done.returncode:
        raise click.ClickException(done.stdout + done.stderr)
    return stack.enter_context(Pair.start(cluster.url(database), env, folder))


async def _measure(pairs: dict[str, Pair], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in pairs}
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(pair.clients()) for name, pair in pairs.items()}
        for a, _ in clients.values():
            (await a.register(EMAIL)).raise_for_status()
        for _ in range(rounds):
            for name, (a, b) in clients.items():
                # At any moment between two polls: right after a 401 would always be right after a poll.
                await asyncio.sleep(random.uniform(0, POLL_INTERVAL))
                found[name].append(await _gap(a, b))
    return found


async def _gap(a: Client, b: Client) -> float:
    """Seconds from the answer to the logout until B's first 401, to requests that follow each other at once."""
    tokens = await a.sign_in(EMAIL)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    (await b.get("/auth/sessions", headers=headers)).raise_for_status()
    (await a.logout(tokens["refresh_token"])).raise_for_status()
    acknowledged = time.perf_counter()
    while True:
        if (await b.get("/auth/sessions", headers=headers)).status_code == httpx.codes.UNAUTHORIZED:
            return time.perf_counter() - acknowledged


if __name__ == "__main__":
    main()
