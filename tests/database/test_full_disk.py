"""A disk that is full says what it is: to the client, in the log and to the doctor; and nobody is signed out by it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.client import Client
from tests.support.postgres import Cluster, Postgres, new_folder, unprivileged
from tests.support.problems import assert_problem
from tests.support.processes import events
from tests.support.server import Server, run_command

DISK_MIB = 40
FULL = "The disk of the database is full: make room on it, or enlarge it."
PATIENT = {"AUTH_THROTTLE__ENABLED": "false", "AUTH_PUBLIC_URL": "http://127.0.0.1:8000"}


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of the test's own, which belongs to whoever PostgreSQL runs as."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = new_folder("disk")
    owner = unprivileged()
    options = f"size={DISK_MIB}m,mode=0700,uid={owner['user']},gid={owner['group']}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, timeout=10)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True, timeout=10)
    folder.rmdir()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, disk: Path) -> Iterator[str]:
    """The URL of a database with the schema at head on this disk."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{disk}/auth.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    template = request.getfixturevalue("migrated_template")
    if not isinstance(postgres, Cluster):
        pytest.skip("the server that TEST_DATABASE_URL names may be on another machine")
    name = f"full_{uuid4().hex}"
    postgres.execute(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
    postgres.create_database(name, template=template, tablespace=name)
    yield postgres.url(name)
    postgres.drop_database(name)
    postgres.execute(f"DROP TABLESPACE {name}")


def fill(disk: Path) -> Path:
    """Write to the disk until nothing more goes in, and return the file that has to go for it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    return ballast


async def register_until_it_fails(client: Client) -> httpx.Response:
    """Register accounts until the pages that are there have no room for one more."""
    for number in range(1000):
        answer = await client.register(f"user-{number}@example.com")
        if answer.status_code != 201:
            return answer
    raise AssertionError("a thousand accounts went onto a full disk")


def told_by_the_doctor(url: str, folder: Path) -> list[str]:
    """What the checks of the database and its disk say."""
    done = run_command("doctor", "--json", "--target", "10", env=environment(url, **PATIENT), cwd=folder)
    checks = json.loads(done.stdout)["checks"]
    return [check["detail"] for check in checks if check["name"] in {"database", "disk"}]


async def test_a_full_disk_is_named_to_the_client_in_the_log_and_by_the_doctor_and_ends_no_session(
    url: str, disk: Path, tmp_path: Path
) -> None:
    with Server(environment(url, **PATIENT), tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False, timeout=20) as client:
            (await client.register("ada@example.com")).raise_for_status()
            tokens = await client.sign_in()
            database, room = told_by_the_doctor(url, tmp_path)
            assert (database.partition(":")[0], room) == ("answers", "room for 8 MiB more")
            ballast = fill(disk)
            refused = await register_until_it_fails(client)
            assert_problem(refused, 503, "database-disk-full")
            assert refused.headers["retry-after"] == "5"
            assert events(server.log(), "request.unavailable", code="database-disk-full")
            assert told_by_the_doctor(url, tmp_path)[-1] == FULL
            created = run_command(
                "users", "create", "bob@example.com", "--no-password", env=environment(url), cwd=tmp_path
            )
            assert (created.returncode, created.stderr.splitlines()[-1][: 7 + len(FULL)]) == (1, f"Error: {FULL}")
            health = await client.get("/health/ready")
            if health.status_code == 503:  # SQLite, where no page is left for the files that a reader writes
                assert url.startswith("sqlite")
                assert_problem(health, 503, "database-disk-full")
            else:
                assert (health.status_code, health.json()["detail"]) == (200, FULL)
            if url.startswith("postgresql"):
                assert (await client.me(tokens["access_token"])).status_code == 200
            ballast.unlink()
            assert (await client.register("last@example.com")).status_code == 201
            assert (await client.refresh(tokens["refresh_token"])).status_code == 200
