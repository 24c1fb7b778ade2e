"""Searches and lists of many users on a PostgreSQL that has pg_trgm: Debian's, as the tests' own has no extensions."""

import asyncio
import json
import math
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from auth_service.main import create_app
from bench.directory import seed
from tests.conftest import environment, make_settings
from tests.support import roles
from tests.support.admins import Admin
from tests.support.client import Client
from tests.support.migrations import alembic
from tests.support.polling import eventually
from tests.support.postgres import Cluster, programs, with_trigrams
from tests.support.server import run_command
from tests.support.sql import run_sql

BINARIES = with_trigrams()
DATABASE = "bench"  # the name that bench.directory fills
USERS = 20_000
SEARCH = roles.FILES / "search.sql"
TRIGRAMS = ["ix_users_email_trigrams", "ix_users_username_trigrams"]
FOUND = f"SELECT indexname FROM pg_indexes WHERE indexname IN ('{TRIGRAMS[0]}', '{TRIGRAMS[1]}') ORDER BY 1"

pytestmark = [
    pytest.mark.skipif(
        BINARIES is None and not os.environ.get("CI"),
        reason="no PostgreSQL with pg_trgm here; on Debian: apt-get install postgresql",
    )
]


@pytest.fixture(scope="module")
def debian() -> Iterator[Cluster]:
    with Cluster.create(binaries=BINARIES) as running:
        yield running


@pytest.fixture(scope="module")
def full_url(debian: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the roles of the operators' page and many users."""
    folder = tmp_path_factory.mktemp("migrate")
    roles.prepare(debian, DATABASE, environment, folder)
    seed(debian, USERS)
    return debian.url(DATABASE)


@asynccontextmanager
async def service(cluster: Cluster, url: str, **settings: object) -> AsyncIterator[Admin]:
    """The service, for whose role PostgreSQL has these settings."""
    for name, value in settings.items():
        cluster.execute(f"ALTER ROLE auth_app IN DATABASE {DATABASE} SET {name.replace('__', '.')} = '{value}'")
    app = create_app(make_settings(url, throttle={"enabled": False}))
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), Client(transport=transport, base_url="http://auth.example") as client:
        yield await Admin.of(client, f"{uuid4().hex}@example.com")
    if settings:
        cluster.execute(f"ALTER ROLE auth_app IN DATABASE {DATABASE} RESET ALL")


def plans(cluster: Cluster, start: int) -> list[str]:
    """What the server has logged of plans since then that read users."""
    return [part for part in cluster.log()[start:].split("duration: ")[1:] if "FROM users" in part]


async def test_a_search_reads_the_indexes_of_trigrams_and_a_deep_page_no_row_that_it_skips(
    debian: Cluster, full_url: str
) -> None:
    explained = {"session_preload_libraries": "auto_explain", "auto_explain__log_min_duration": 0}
    async with service(debian, full_url, **explained) as admin:
        start = len(debian.log())
        found = (await admin.page(q="0A1b"))["items"]
        assert found
        assert [item for item in found if "0a1b" not in item["email"] + item["username"]] == []
        (search,) = [plan for plan in plans(debian, start) if "LIKE" in plan and "LIMIT" in plan]
        assert [name for name in TRIGRAMS if f"Bitmap Index Scan on {name}" in search] == TRIGRAMS, search
        start = len(debian.log())
        assert (await admin.page(q="@exaple"))["items"] == []  # what many have is not far from it
        (search,) = [plan for plan in plans(debian, start) if "LIKE" in plan and "LIMIT" in plan]
        assert [name for name in TRIGRAMS if f"Bitmap Index Scan on {name}" in search] == TRIGRAMS, search
        start = len(debian.log())
        assert len((await admin.page(page=300))["items"]) == 50
        (page,) = [plan for plan in plans(debian, start) if "OFFSET" in plan]
        assert "Index Only Scan Backward using ix_users_created_at_id" in page, page
        assert "Seq Scan" not in page, page


async def test_who_lacks_a_skeleton_is_looked_for_in_an_index(debian: Cluster, full_url: str) -> None:
    def looks() -> list[str]:
        return [plan for plan in plans(debian, start) if "IS DISTINCT FROM" in plan]

    async def has_looked() -> bool:
        return bool(looks())

    start = len(debian.log())
    async with service(debian, full_url, session_preload_libraries="auto_explain", auto_explain__log_min_duration=0):
        await eventually(has_looked)
    for plan in looks():
        assert "using ix_users_id_without_skeleton on users" in plan, plan


async def test_what_would_take_long_to_count_is_estimated_and_said_to_be(debian: Cluster, full_url: str) -> None:
    async with service(debian, full_url) as admin:
        exact = (await admin.call("GET", "/counts")).json()
        assert (exact["disabled"], exact["estimated"]) == (USERS // 50, [])
        assert (await admin.page(is_active=False))["total_is_estimate"] is False
    async with service(debian, full_url, cpu_tuple_cost=10) as admin:  # as a table of many more rows would look
        counts = (await admin.call("GET", "/counts")).json()
        assert counts["estimated"] == ["active", "disabled", "unverified", "recently_seen", "total"]
        for name in counts["estimated"]:
            assert 0.8 < counts[name] / exact[name] < 1.25, name
        page = await admin.page()
        assert (page["total_is_estimate"], page["pages"]) == (True, math.ceil(page["total"] / 50))


async def test_the_models_agree_with_the_schema_and_it_goes_down_and_up(debian: Cluster, tmp_path: Path) -> None:
    debian.create_database("other")
    url = debian.url("other")
    done = run_command("migrate", env=environment(url), cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), "only which database it is"
    assert await run_sql(url, FOUND) == [(name,) for name in TRIGRAMS]
    alembic(url, "check")
    alembic(url, "downgrade", "0004")
    assert await run_sql(url, FOUND) == []
    alembic(url, "upgrade", "head")
    assert await run_sql(url, FOUND) == [(name,) for name in TRIGRAMS]


async def test_what_the_migration_could_not_make_is_said_and_made_later_beside_the_running_service(
    debian: Cluster, tmp_path: Path
) -> None:
    debian.execute("CREATE ROLE humble LOGIN; CREATE DATABASE humble")  # may not make an extension in it
    debian.execute("GRANT ALL ON SCHEMA public TO humble", "humble")
    url = debian.url("humble").replace("postgres@", "humble@")
    done = run_command("migrate", env=environment(url), cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stderr.splitlines()[1])["event"] == "search.not_indexed"
    async with service(debian, url) as admin:
        await admin.client.register("ada@example.com")
        assert await admin.emails(q="ADA@") == ["ada@example.com"]
        debian.execute("GRANT CREATE ON DATABASE humble TO humble")
        for _ in range(2):
            psql = [programs() / "psql", "-X", "-q", "-f", SEARCH, url]
            run = partial(subprocess.run, psql, capture_output=True, text=True, check=False)
            told = await asyncio.to_thread(run)
            assert told.returncode == 0, told.stderr
        assert await run_sql(url, FOUND) == [(name,) for name in TRIGRAMS]
        assert await admin.emails(q="ADA@") == ["ada@example.com"]
    alembic(url, "check")
