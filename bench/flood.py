"""A flood of logins beside refreshes, and what it does to those who are signed in: `python -m bench.flood`."""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from bench import attackers, machine
from bench.load import RefreshLoad, Sample
from tests.support.client import Client
from tests.support.postgres import Cluster
from tests.support.processes import client_of
from tests.support.server import Server, run_command

DATABASE = "bench"
EMAILS = [f"flooded{number}@example.com" for number in range(10)]  # not those whose sessions are refreshed
ALONE = 10.0  # seconds of refreshes before the flood
BURST = 500  # logins at once
NORMAL = 2.0  # a login is normal again if it takes no longer than so many medians of quiet times


@click.command()
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(1, 600), help="Length of the flood.")
@click.option("--rate", default=300.0, show_default=True, type=click.FloatRange(1, 2000), help="Logins a second.")
@click.option("--refreshes", default=50.0, show_default=True, type=click.FloatRange(1, 500), help="Refreshes a second.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 16), help="Processes that serve.")
@click.option("--set", "extra", multiple=True, metavar="NAME=VALUE", help="A setting of the service; may be repeated.")
def main(seconds: float, rate: float, refreshes: float, workers: int, extra: tuple[str, ...]) -> None:
    """Measure, and print what was found as JSON; exit code 1 if a refresh failed."""
    with Cluster.create() as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.create_database(DATABASE)
        env = {
            "DATABASE_URL": cluster.url(DATABASE),
            "AUTH_SECRET_KEY": "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl",
            "AUTH_THROTTLE__ENABLED": "false",  # else it answers most of the flood, and hashing is not what floods
            "AUTH_TOKENS__REFRESH_GRACE": "0",  # else not every refresh of a session rotates, if they are many
            **dict(setting.split("=", 1) for setting in extra),
        }
        done = run_command("migrate", env=env, cwd=Path(folder))
        if done.returncode:
            raise click.ClickException(done.stdout + done.stderr)
        described = machine.describe()
        with Server(env, Path(folder), workers=workers) as server:
            server.wait_ready()
            found = asyncio.run(_measure(server, rate, refreshes, seconds))
    print(json.dumps({"settings": extra, "workers": workers, **found, "machine": described}, indent=2))
    sys.exit(1 if found["refresh"]["failures"] else 0)


async def _measure(server: Server, rate: float, refreshes: float, seconds: float) -> dict[str, Any]:
    """Refreshes alone, with a login now and then, beside the flood and after it; then many logins at once."""
    async with client_of(server) as client:
        load = await RefreshLoad.sign_in(client, refreshes)
        for email in EMAILS:
            (await client.register(email)).raise_for_status()
        before = _memory(server)
        alone = await _during(load, asyncio.sleep(ALONE))
        calm = await _during(load, _quiet_login(client))
        flood = await _during(load, _flooded(server, client, rate, seconds, calm.result))
        peak = _memory(server, peak=True)
        _forget_peak(server)
        burst = await asyncio.to_thread(attackers.finish, attackers.start(server.port, 1e9, BURST, EMAILS))
        return {
            "refresh": {
                "alone": attackers.times(alone.sample.seconds),
                "in_flood": attackers.times(flood.sample.seconds),
                "failures": dict(Counter(alone.sample.failures + calm.sample.failures + flood.sample.failures)),
            },
            "login_alone_ms": round(calm.result * 1000, 1),
            **flood.result,
            "burst": burst.report(),
            "memory_mib": {"before": before, "in_flood": peak, "in_burst": _memory(server, peak=True)},
        }


@dataclass(frozen=True)
class _Beside:
    """What refreshes saw while something else went on, and what that returned."""

    sample: Sample
    result: Any


async def _during(load: RefreshLoad, work: Coroutine[Any, Any, Any]) -> _Beside:
    stop = asyncio.Event()
    refreshing = asyncio.create_task(load.run(stop))
    try:
        result = await work
    finally:
        stop.set()
        sample = await refreshing
    return _Beside(sample, result)


async def _quiet_login(client: Client) -> float:
    """The median of the seconds of 40 logins, one after the other."""
    found = []
    for _ in range(40):
        status, seconds = await _login(client)
        if status == httpx.codes.OK:
            found.append(seconds)
        await asyncio.sleep(0.05)
    return statistics.median(found)


async def _flooded(server: Server, client: Client, rate: float, seconds: float, quiet: float) -> dict[str, Any]:
    flood = attackers.start(server.port, rate, round(rate * seconds), EMAILS)
    try:
        await asyncio.to_thread(attackers.wait_sent, flood)
        recovered = await _recovery(client, quiet)
        return {
            "flood": (await asyncio.to_thread(attackers.finish, flood)).report(),
            "seconds_until_login_is_normal": recovered,
        }
    finally:
        flood.kill()


async def _recovery(client: Client, quiet: float) -> float | None:
    """Seconds to the first of three logins in a row that are as fast as in quiet times; None after a minute."""
    clock = asyncio.get_running_loop().time
    began = since = clock()
    in_a_row = 0
    while in_a_row < 3 and clock() - began < 60:
        started = clock()
        status, seconds = await _login(client)
        normal = status == httpx.codes.OK and seconds <= quiet * NORMAL
        since = started if normal and not in_a_row else since
        in_a_row = in_a_row + 1 if normal else 0
        await asyncio.sleep(0.02)
    return round(since - began, 2) if in_a_row == 3 else None


async def _login(client: Client) -> tuple[int, float]:
    started = time.perf_counter()
    try:
        status = (await client.login(EMAILS[0])).status_code
    except httpx.HTTPError:
        status = 0
    return status, time.perf_counter() - started


def _memory(server: Server, *, peak: bool = False) -> float:
    """Resident memory of all that serve, in MiB, now or at its peak."""
    word = "VmHWM:" if peak else "VmRSS:"
    lines = [line for pid in server.worker_pids() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return round(sum(int(line.split()[1]) for line in lines if line.startswith(word)) / 1024, 1)


def _forget_peak(server: Server) -> None:
    for pid in server.worker_pids():
        Path(f"/proc/{pid}/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
