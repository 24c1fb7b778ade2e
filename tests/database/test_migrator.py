"""Migrations: any number at once, from anywhere, up and down on data, and offline."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from auth_service.database.migration_plan import EFFECTS
from auth_service.database.schema import REVISIONS, TOO_NEW
from tests.conftest import MakeClient, environment
from tests.support.migrations import APPLIED, alembic
from tests.support.postgres import Postgres
from tests.support.server import Server, run_command, wait_until
from tests.support.sql import run_sql

ROOT = Path(__file__).parent.parent.parent
NOTHING = "the schema is already at head\n"


def test_of_five_migrators_at_once_all_succeed_and_one_does_the_work(empty_url: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(5) as pool:
        started = [pool.submit(run_command, "migrate", env=environment(empty_url), cwd=tmp_path) for _ in range(5)]
        done = [run.result() for run in started]
    assert [run.returncode for run in done] == [0] * 5
    lines = {line for run in done for line in run.stderr.splitlines() if "search.not_indexed" not in line}
    assert {line for line in lines if not line.startswith(("PostgreSQL database ", "SQLite file "))} == set()
    assert sorted(run.stdout for run in done) == sorted([APPLIED] + [NOTHING] * 4)


async def test_a_migrator_waits_for_the_one_before_it(postgres: Postgres, tmp_path: Path) -> None:
    name = f"waiting_{uuid4().hex}"
    postgres.create_database(name)
    rival = await asyncpg.connect(postgres.url(name))
    waits = (
        f"SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = '{name}' "
        "AND application_name = 'auth_service' AND wait_event = 'advisory'"
    )
    with ThreadPoolExecutor(1) as pool:
        async with rival.transaction():
            await rival.execute("SELECT pg_advisory_xact_lock(4711001)")
            run = pool.submit(run_command, "migrate", env=environment(postgres.url(name)), cwd=tmp_path)
            wait_until(lambda: postgres.execute(waits) == "t", 20, lambda: f"nobody waits; {run}")
            assert not run.done()
        done = run.result()
    await rival.close()
    postgres.drop_database(name)
    assert (done.returncode, done.stdout) == (0, APPLIED)


@pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)  # not used: make_client would take each
async def test_a_schema_with_users_and_sessions_goes_down_and_up_and_the_models_agree_with_it(
    make_client: MakeClient, empty_url: str, tmp_path: Path
) -> None:
    assert run_command("migrate", env=environment(empty_url), cwd=tmp_path).returncode == 0
    alembic(empty_url, "check")
    client = await make_client(empty_url)
    (await client.register("ada@example.com")).raise_for_status()
    await client.sign_in()
    # Not in the loop: an app of this process that holds a lock could then not let it go.
    await asyncio.to_thread(alembic, empty_url, "downgrade", "base")
    assert (await client.get("/health/ready")).json()["code"] == "schema-not-ready"
    await asyncio.to_thread(alembic, empty_url, "upgrade", "head")
    await asyncio.to_thread(alembic, empty_url, "check")
    assert (await client.get("/health/ready")).status_code == 200
    assert (await client.register("ada@example.com")).status_code == 201


async def test_each_migration_says_which_services_its_schema_serves_on_the_way_up_and_down(empty_url: str) -> None:
    async def told() -> Any:
        return await run_sql(empty_url, "SELECT oldest_served FROM schema_compatibility")

    migrations = [one for one in scripts() if one.revision > "0005"]
    up, down = [("upgrade", one) for one in migrations], [("downgrade", one) for one in migrations[-2::-1]]
    for word, migration in up + down:
        await asyncio.to_thread(alembic, empty_url, word, migration.revision)
        assert await told() == [(migration.module.oldest_served,)]
        await run_sql(empty_url, "UPDATE schema_compatibility SET oldest_served = 'forgotten'")


def test_the_code_knows_every_migration_and_none_serves_a_service_that_is_newer_than_itself() -> None:
    assert tuple(migration.revision for migration in scripts()) == REVISIONS
    assert all(one.module.oldest_served <= one.revision for one in scripts() if one.revision > "0005")


def test_what_each_migration_does_is_recorded() -> None:
    """By `python -m tests.support.migration_effects`, without which a plan cannot tell of it."""
    assert tuple(json.loads(EFFECTS.read_text("utf-8"))) == REVISIONS


def scripts() -> list[Script]:
    """Return every migration, the oldest first."""
    return list(ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).walk_revisions())[::-1]


def test_a_migration_can_be_written_out_offline(empty_url: str) -> None:
    script = alembic(empty_url, "upgrade", "head", "--sql")
    for statement in ("CREATE TABLE users", "CREATE TABLE refresh_tokens", "INSERT INTO alembic_version"):
        assert statement in script
    assert ("WITH TIME ZONE" in script) == empty_url.startswith("postgresql")


def test_an_offline_script_makes_the_schema(postgres: Postgres, tmp_path: Path) -> None:
    name = f"offline_{uuid4().hex}"
    postgres.create_database(name)
    postgres.execute(alembic(postgres.url(name), "upgrade", "head", "--sql"), name)
    done = run_command("migrate", env=environment(postgres.url(name)), cwd=tmp_path)
    postgres.drop_database(name)
    assert (done.returncode, done.stdout) == (0, NOTHING)


async def test_a_schema_that_is_too_new_for_the_service_is_refused_in_one_line(empty_url: str, tmp_path: Path) -> None:
    env = environment(empty_url, AUTH_MIGRATE_ON_START="true")
    assert run_command("migrate", env=env, cwd=tmp_path).returncode == 0
    await run_sql(empty_url, "UPDATE alembic_version SET version_num = '9999'")
    await run_sql(empty_url, "UPDATE schema_compatibility SET oldest_served = '9999'")
    done = run_command("migrate", env=env, cwd=tmp_path)
    assert done.returncode == 1
    _, line = done.stderr.splitlines()
    assert line.startswith(f"Error: {TOO_NEW}")
    with Server(env, tmp_path) as server:
        server.wait_live()  # it lives, and its readiness says why it does not serve


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_an_installed_wheel_migrates_from_any_folder(empty_url: str, wheel: Path, tmp_path: Path) -> None:
    def run(*program: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(wheel), **environment(empty_url)}
        command = [sys.executable, *program]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert run("-c", "import auth_service; print(auth_service.__file__)").stdout.startswith(str(wheel))
    assert run("-m", "auth_service", "migrate", "--check").returncode == 3
    assert run("-m", "auth_service", "migrate").stdout == APPLIED
    assert run("-m", "auth_service", "cleanup", "--json").returncode == 0
    assert "GRANT SELECT ON alembic_version, schema_compatibility TO" in run("-m", "auth_service", "grants").stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel of this tree was unpacked."""
    source, built, target = (tmp_path_factory.mktemp(name) for name in ("source", "built", "installed"))
    for name in ("auth_service", "migrations", "deploy/sql"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(build, cwd=source, capture_output=True, timeout=60, check=True)
    (package,) = built.glob("*.whl")
    with zipfile.ZipFile(package) as archive:
        assert not [name for name in archive.namelist() if name.startswith("tests")]
        archive.extractall(target)
    return target
