"""`migrate --check` and `migrate --to`: what a migration would do is told before, is true, and is asked for."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from auth_service.database.migration_plan import EFFECTS
from auth_service.database.schema import HEAD, REVISIONS
from auth_service.settings import DatabaseSettings
from tests.conftest import MakeClient
from tests.support import roles
from tests.support.migration_effects import observe
from tests.support.migrations import alembic
from tests.support.operator import Operator
from tests.support.polling import eventually
from tests.support.postgres import Postgres
from tests.support.sql import run_sql

BEFORE = REVISIONS[-2]
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


@pytest.fixture
def operator(database_url: str, tmp_path: Path) -> Operator:
    """The owner of the tables, who may migrate, at head."""
    owner = Operator(roles.as_role(database_url, "owner"), tmp_path)
    owner.run("migrate")
    return owner


def plan_of(operator: Operator, *words: str, code: int = 3) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(operator.run("migrate", "--check", "--json", *words, code=code).stdout)
    return plan


async def test_the_effects_of_each_migration_are_those_that_plans_tell(postgres: Postgres) -> None:
    """If not: `python -m tests.support.migration_effects` records them."""
    name = f"effects_{uuid4().hex}"
    postgres.create_database(name)
    try:
        assert await observe(postgres.url(name)) == json.loads(EFFECTS.read_text("utf-8"))
    finally:
        postgres.drop_database(name)


@on_a_lasting_database
def test_a_schema_at_head_has_no_work_and_an_empty_database_has_all(operator: Operator, tmp_path: Path) -> None:
    assert operator.run("migrate", "--check").stdout == f"the schema is already at {HEAD}\n"
    plan = plan_of(operator, code=0)
    assert (plan["revision"], plan["target"], plan["steps"]) == (HEAD, HEAD, [])
    plan = plan_of(Operator(f"sqlite+aiosqlite:///{tmp_path}/empty.db", tmp_path))
    assert plan["revision"] is None
    assert [step["revision"] for step in plan["steps"]] == list(REVISIONS)


@on_a_lasting_database
def test_a_migration_says_first_which_database_it_works_on_without_credentials(operator: Operator) -> None:
    parts = urlsplit(operator.url)
    name = f"PostgreSQL database {parts.path[1:]} at {parts.netloc.rpartition('@')[2]}"
    name = name if parts.scheme.startswith("postgresql") else f"SQLite file {parts.path[1:]}"
    for words in ((), ("--check",), ("--to", HEAD), ("--to", HEAD, "--check")):
        done = operator.run("migrate", *words)
        assert (done.stderr, done.output.splitlines()[0]) == (f"{name}\n", name), words
    found = operator.run("migrate", "--check", "--json")
    assert (json.loads(found.stdout)["database"], found.stderr) == (name, "")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgres://auth:secret@db1,db2:5433/auth%20x?sslmode=require", "PostgreSQL database auth x at db1,db2:5433"),
        ("postgresql:///?host=/run/pg&dbname=auth&password=secret", "PostgreSQL database auth at /run/pg"),
        ("postgresql://auth:secret@[::1]:5433/auth", "PostgreSQL database auth at [::1]:5433"),
        ("postgresql://auth:secret@localhost/auth?host=/run/pg", "PostgreSQL database auth at /run/pg"),
        ("sqlite+aiosqlite://", "SQLite in memory"),
    ],
)
def test_a_database_is_described_without_what_may_be_a_password(url: str, name: str) -> None:
    assert DatabaseSettings(DATABASE_URL=url, _env_file=None).described == name


def test_a_plan_makes_no_file_where_there_is_no_database(tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/none.db", tmp_path)
    plan = plan_of(operator)
    assert (plan["revision"], plan["steps"][0]["title"]) == (None, "Users, their sessions, and the keys that sign")
    assert operator.run("migrate", "--to", HEAD, code=2).stdout.startswith("the database has no schema yet\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_check_tells_the_steps_and_the_locks_and_does_nothing(operator: Operator) -> None:
    alembic(operator.url, "downgrade", "0004")
    plan = plan_of(operator)
    first = plan["steps"][0]
    assert (plan["revision"], first["revision"], first["direction"]) == ("0004", "0005", "up")
    assert (first["locks"], first["lost"]) == ({"users": "SHARE"}, [])
    told = operator.run("migrate", "--check", code=3).stdout
    assert "up 0005: Indexes for lists and searches of users\n  locks users in SHARE mode: writes wait\n" in told
    assert plan_of(operator) == plan


@on_a_lasting_database
def test_the_lease_that_each_clean_up_leaves_behind_is_no_loss(operator: Operator) -> None:
    operator.run("cleanup")
    plan = plan_of(operator, "--to", "0015")
    assert (plan["loses"], plan["steps"][-1]["revision"]) == (False, "0016")
    assert "LOST" not in operator.run("migrate", "--to", "0015", "--check", code=3).stdout


async def no_mail_is_left(database_url: str) -> bool:
    return await run_sql(database_url, "SELECT count(*) FROM outgoing_mails") == [(0,)]


@on_a_lasting_database
async def test_back_and_forth_on_data_and_what_is_lost_is_told_before(
    make_client: MakeClient, database_url: str, tmp_path: Path
) -> None:
    client = await make_client()
    operator = Operator(roles.as_role(database_url, "owner"), tmp_path)
    (await client.register("ada@example.com")).raise_for_status()
    tokens = await client.sign_in()
    await eventually(lambda: no_mail_is_left(database_url))  # the one to verify the address
    await run_sql(
        database_url,
        "INSERT INTO outgoing_mails (id, kind, details, created_at, attempts, due_at) "
        f"VALUES ('{uuid4()}', 'notice', '{{}}', '2026-01-01', 0, '2099-01-01')",
    )

    async def migrate(*words: str, code: int = 0, given: str | None = None) -> Any:
        return await asyncio.to_thread(operator.run, "migrate", *words, code=code, given=given)

    # Without a terminal nobody is asked, and nothing is done.
    refused = await migrate("--to", "0003", code=2, given="y\n")
    assert "use --yes" in refused.stderr
    assert (await client.get("/health/ready")).status_code == 200
    plan = await asyncio.to_thread(plan_of, operator, "--to", "0003")
    assert [(step["revision"], step["direction"]) for step in plan["steps"][-2:]] == [
        ("0005", "down"),
        ("0004", "down"),
    ]
    lost = {loss["what"]: loss["rows"] for loss in plan["steps"][-1]["lost"]}
    assert (set(lost), lost["outgoing_mails"], plan["loses"]) == ({"link_tokens", "outgoing_mails"}, 1, True)
    assert plan["oldest_served"] == "0003"

    done = await migrate("--to", "0003", "--yes")
    assert "\n  LOST: outgoing_mails, rows: 1\n" in done.stdout
    assert done.stdout.endswith(", 0005, 0004\n")
    assert (await client.get("/health/ready")).json()["code"] == "schema-not-ready"
    assert (await migrate("--to", "0003", "--yes")).stdout == "the schema is already at 0003\n"

    assert (await migrate("--to", BEFORE, "--yes")).stdout.splitlines()[-1].startswith("applied: 0004, 0005")
    # The tables are new ones, on which nothing is granted yet.
    assert (await migrate(*roles.grant_words(database_url))).stdout.startswith(f"applied: {HEAD}\n")
    await eventually(lambda: is_ready(client))
    assert (await client.refresh(tokens["refresh_token"])).status_code == 200
    assert await no_mail_is_left(database_url)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_who_does_not_get_a_lock_within_two_seconds_has_done_nothing_and_may_try_again(
    operator: Operator, database_url: str
) -> None:
    reader = await asyncpg.connect(database_url)
    async with reader.transaction():
        await reader.execute("LOCK TABLE pending_changes IN ACCESS SHARE MODE")
        done = await asyncio.to_thread(operator.run, "migrate", "--to", "0006", "--yes", code=75)
    await reader.close()
    assert done.stderr.splitlines()[1].startswith("Error: ")
    assert await run_sql(database_url, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert (await asyncio.to_thread(operator.run, "migrate", "--to", "0006", "--yes")).stdout.endswith(" 0007\n")


async def is_ready(client: Any) -> bool:
    return bool((await client.get("/health/ready")).status_code == 200)


@pytest.mark.parametrize(
    "words",
    [
        ("--to", "9999"), ("--to", "head"), ("--to", "base"), ("--json",), ("--check", "--grant-to", "auth_app"),
        ("--to", BEFORE, "--yes", "--grant-to", "auth_app"),
    ],
)  # fmt: skip
def test_words_that_do_not_go_together_are_wrong_use(words: tuple[str, ...], tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/auth.db", tmp_path)
    operator.run("migrate", *words, code=2)
    assert not (tmp_path / "auth.db").exists()
