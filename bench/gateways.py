"""What a gateway's question costs, and how soon a logout is seen through it: `python -m bench.gateways`."""

import asyncio
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import httpx

from bench import machine
from bench.bare import Bare, serve_bare
from bench.stream import Sample, drive
from tests.support.client import Client
from tests.support.gateway_commands import Site
from tests.support.gateways import KINDS, Gateway, started
from tests.support.postgres import Cluster
from tests.support.processes import Pair
from tests.support.server import run_command

EMAIL = "bench@example.com"
TOKEN = "internal-token-of-the-benchmarks"
SESSIONS = 40  # access tokens that take turns


@click.command()
@click.option("--rounds", default=9, show_default=True, help="Stretches of load for each thing that is compared.")
@click.option("--seconds", default=2.0, show_default=True, help="How long each stretch is.")
@click.option("--logouts", default=100, show_default=True, help="Logouts through each gateway.")
def main(rounds: int, seconds: float, logouts: int) -> None:
    """Measure, and print medians."""
    where = machine.describe()  # before the start: what else runs
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        pair = stack.enter_context(_pair(Path(folder)))
        requests = asyncio.run(_requests(pair))
        bare = stack.enter_context(serve_bare())
        _report_verify(pair, requests["verify"], bare, rounds, seconds)
        kinds = [kind for kind in KINDS.values() if kind.is_installed]
        site = Site(pair.b.port, bare.port, TOKEN)
        gateways = [stack.enter_context(started(kind, site, Path(folder, kind.name))) for kind in kinds]
        if KINDS["nginx"] in kinds:
            alone = stack.enter_context(_nginx_alone(site, Path(folder)))
            _report_nginx(gateways[kinds.index(KINDS["nginx"])], alone, requests, rounds, seconds)
        for name, gaps in asyncio.run(_logouts(pair, gateways, logouts)).items():
            p99 = statistics.quantiles(gaps, n=100, method="inclusive")[98]
            print(
                f"logout to the first 401, {name}: median {statistics.median(gaps) * 1000:.1f} ms, "
                f"p99 {p99 * 1000:.1f} ms, longest {max(gaps) * 1000:.1f} ms over {len(gaps)}"
            )
        print(", ".join(kind.version() for kind in kinds))
    print(", ".join(f"{name} {value}" for name, value in where.items()))


@contextmanager
def _pair(folder: Path) -> Iterator[Pair]:
    """Processes A and B of the service on one database. Gateways ask B, and sessions end at A."""
    with Cluster.create() as cluster:
        cluster.create_database("bench")
        env = {
            "DATABASE_URL": cluster.url("bench"),
            "AUTH_SECRET_KEY": "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl",
            "AUTH_INTERNAL_TOKEN": TOKEN,
            "AUTH_PASSWORD__ARGON2_MEMORY_KIB": "64",
            "AUTH_PASSWORD__ARGON2_TIME_COST": "1",
        }
        done = run_command("migrate", env=env, cwd=folder)
        if done.returncode:
            raise click.ClickException(done.stdout + done.stderr)
        with Pair.start(cluster.url("bench"), env, folder) as pair:
            yield pair


async def _requests(pair: Pair) -> dict[str, list[bytes]]:
    """The same request for verify and for the application, once for each session."""
    async with pair.clients() as (client, _):
        (await client.register(EMAIL)).raise_for_status()
        tokens = [(await client.sign_in(EMAIL))["access_token"] for _ in range(SESSIONS)]
    head = "GET {} HTTP/1.1\r\nHost: auth\r\nAuthorization: Bearer {}\r\nX-Internal-Token: {}\r\n\r\n"
    paths = {"verify": "/internal/verify", "app": "/app/x"}
    return {name: [head.format(path, token, TOKEN).encode() for token in tokens] for name, path in paths.items()}


def _by_turns(rounds: int, *measure: tuple[int, Sequence[bytes], float, Sequence[int]]) -> list[list[Sample]]:
    """Each stretch once to warm up, and then all of them in turn, so that what else the machine does hits all alike."""
    for port, requests, _, watched in measure:
        drive(port, requests, 0.5, watched)
    return [list(samples) for samples in zip(*([drive(*one) for one in measure] for _ in range(rounds)), strict=True)]


def _report_verify(pair: Pair, requests: Sequence[bytes], bare: Bare, rounds: int, seconds: float) -> None:
    found = _by_turns(
        rounds,
        (pair.b.port, requests, seconds, pair.b.worker_pids()),
        (bare.port, requests, seconds, [bare.pid]),
    )
    verify, nothing = (statistics.median(sample.per_cpu_second for sample in samples) for samples in found)
    print(
        f"verify {verify:.0f} requests per CPU-second, a bare Starlette route {nothing:.0f}: "
        f"{verify / nothing:.2f} of it (medians of {rounds})"
    )


def _report_nginx(
    gateway: Gateway, alone: Gateway, requests: dict[str, list[bytes]], rounds: int, seconds: float
) -> None:
    found = _by_turns(
        rounds,
        *((each.port, requests["app"], seconds, [each.pid]) for each in (gateway, alone)),
    )
    asked, unasked = (statistics.median(sample.per_second for sample in samples) for samples in found)
    cost, free = (statistics.median(1e6 / sample.per_cpu_second for sample in samples) for samples in found)
    print(
        f"nginx with auth_request {asked:.0f} requests per second, alone {unasked:.0f}: {asked / unasked:.2f} of it; "
        f"nginx's own CPU for each {cost:.0f} and {free:.0f} microseconds (medians of {rounds})"
    )


@contextmanager
def _nginx_alone(site: Site, folder: Path) -> Iterator[Gateway]:
    """nginx from the same configuration, but it asks nobody."""

    def ask_nobody(name: str, text: str) -> str:
        text = re.sub(r"^\s*auth_request /.*;$", "", text, flags=re.MULTILINE)
        return text.replace("http://$application", "http://app")

    with started(KINDS["nginx"], site, folder / "alone", edit=ask_nobody) as gateway:
        yield gateway


async def _logouts(pair: Pair, gateways: list[Gateway], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {gateway.kind.name: [] for gateway in gateways}
    async with pair.clients() as (client, _):
        for _ in range(rounds):
            for gateway in gateways:
                await asyncio.sleep(random.uniform(0, 1 / len(gateways)))  # at any moment between two polls
                found[gateway.kind.name].append(await _gap(client, gateway))
    return found


async def _gap(client: Client, gateway: Gateway) -> float:
    """Seconds from the answer to a logout until the gateway's first 401, to requests that follow each other at once."""
    tokens = await client.sign_in(EMAIL)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    async with httpx.AsyncClient(base_url=gateway.base_url, trust_env=False, timeout=10, headers=headers) as user:
        (await user.get("/app/x")).raise_for_status()
        (await client.logout(tokens["refresh_token"])).raise_for_status()
        acknowledged = time.perf_counter()
        while (await user.get("/app/x")).status_code != httpx.codes.UNAUTHORIZED:
            pass
        return time.perf_counter() - acknowledged


if __name__ == "__main__":
    main()
