"""Lists, searches and counts among a million users, through HTTP: `python -m bench.directory`."""

import itertools
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import httpx

from bench import machine
from tests.support.client import PASSWORD
from tests.support.postgres import Cluster, with_trigrams
from tests.support.server import Server, run_command

DATABASE = "bench"
EMAIL = "admin@example.com"
STEP = 50_000  # users to a statement
PER_PAGE = 50
WARM_UP = 20

# Names are hashes, so that a fragment is neither rare nor everywhere; a user every 30 seconds, 2 % of them disabled.
SEED = """
INSERT INTO users (id, email, email_canonical, username, username_canonical, username_skeleton, username_skeleton_of,
                   username_twin, hashed_password, role, is_active, is_verified, credential_epoch, created_at,
                   updated_at, last_login_at)
SELECT id, address, address, name, name, translate(name, '01', 'ol'), name, id, '!', 'user', number % 50 <> 0,
       number % 5 <> 0, 0, at, at,
       CASE WHEN number % 3 <> 0 THEN now() - random() * interval '300 days' END
FROM (SELECT number, gen_random_uuid() AS id,
             substr(md5(number::text), 1, 10) || '@example' || number % 97 || '.com' AS address,
             'u' || substr(md5('name' || number), 1, 12) AS name, now() - number * interval '30 seconds' AS at
      FROM generate_series({first}, {last}) AS number) AS made
ON CONFLICT DO NOTHING;
"""

Request = Callable[[], httpx.Response]


def seed(cluster: Cluster, users: int) -> None:
    """Make the users, and leave the table as autovacuum would."""
    for first in range(1, users + 1, STEP):
        cluster.execute(SEED.format(first=first, last=min(first + STEP - 1, users)), DATABASE)
    cluster.execute("VACUUM ANALYZE users; CHECKPOINT", DATABASE)


def requests(client: httpx.Client, users: int) -> dict[str, Request]:
    """What is measured, by name. Searches are for another fragment each time."""
    fragments = _fragments()
    middle = max(1, users // PER_PAGE // 2)
    cursor = _get(client, page=middle).json()["next_cursor"]
    return {
        "search by fragment": lambda: _get(client, q=next(fragments)),
        "search by fragment, role and state": lambda: _get(client, q=next(fragments), role="user", is_active=True),
        "exact name": lambda: _get(client, name=EMAIL),
        "disabled ones": lambda: _get(client, is_active=False),
        "page 1": lambda: _get(client, page=1),
        f"page {middle}": lambda: _get(client, page=middle),
        f"cursor behind page {middle}": lambda: _get(client, cursor=cursor),
        "counts": lambda: client.get("/admin/users/counts"),
    }


def measure(request: Request, samples: int) -> tuple[float, float]:
    """The median and the 95th percentile in milliseconds, one request after the other."""
    taken = []
    for number in range(WARM_UP + samples):
        started = time.perf_counter()
        request().raise_for_status()
        if number >= WARM_UP:
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=20, method="inclusive")[18]


def _get(client: httpx.Client, **query: Any) -> httpx.Response:
    return client.get("/admin/users", params={"per_page": PER_PAGE, **query})


def _fragments() -> Iterator[str]:
    for number in itertools.count():
        yield f"{number * 7919 % 0xFFFFF:05x}"


def _sign_in(client: httpx.Client, cluster: Cluster) -> None:
    who = {"email": EMAIL, "password": PASSWORD}
    client.post("/auth/register", json=who).raise_for_status()
    cluster.execute("UPDATE users SET role = 'admin' WHERE email_canonical = 'admin@example.com'", DATABASE)
    tokens = client.post("/auth/login", json=who).raise_for_status().json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"


def _run(cluster: Cluster, folder: Path, users: int, samples: int) -> dict[str, Any]:
    env = {
        "DATABASE_URL": cluster.url(DATABASE),
        "AUTH_SECRET_KEY": "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl",
        "AUTH_CLEANUP__INTERVAL": "0",
    }
    cluster.create_database(DATABASE)
    done = run_command("migrate", env=env, cwd=folder)
    if done.returncode or done.stderr:
        raise click.ClickException(done.stdout + done.stderr)
    seed(cluster, users)
    with Server(env, folder) as server:
        server.wait_ready()
        with httpx.Client(base_url=server.base_url, timeout=10, trust_env=False) as client:
            _sign_in(client, cluster)
            found = {name: measure(request, samples) for name, request in requests(client, users).items()}
        server.terminate()
    return {name: {"p50_ms": round(p50, 1), "p95_ms": round(p95, 1)} for name, (p50, p95) in found.items()}


@click.command()
@click.option("--users", default=1_000_000, show_default=True, type=click.IntRange(1000), help="Rows in the table.")
@click.option("--samples", default=200, show_default=True, type=click.IntRange(20), help="Requests of each kind.")
def main(users: int, samples: int) -> None:
    """Measure on a PostgreSQL of Debian's own programs, which have pg_trgm, and print JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end in order, and end what was started
    binaries = with_trigrams()
    if binaries is None:
        raise click.ClickException("no PostgreSQL with pg_trgm here; on Debian: apt-get install postgresql")
    with Cluster.create(binaries=binaries, on_disk=True) as cluster, tempfile.TemporaryDirectory() as folder:
        found = _run(cluster, Path(folder), users, samples)
        postgresql = cluster.execute("SHOW server_version")
    surroundings = {"users": users, "samples": samples, "postgresql": postgresql, **machine.describe()}
    print(json.dumps({**found, **surroundings}, indent=2))


if __name__ == "__main__":
    main()
