"""A schema that is not this version's own: whether it serves it, and who says so in which words."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from auth_service.database.schema import HEAD, MIGRATE, NONE, NOT_OURS, OLDER, REVISIONS, TOO_NEW
from auth_service.errors import MissingPrivileges
from tests.conftest import MakeClient
from tests.support import roles
from tests.support.client import Client
from tests.support.operator import Operator
from tests.support.sql import run_sql

NEWER = "UPDATE alembic_version SET version_num = '9999'"
OF_NOBODY = "UPDATE schema_compatibility SET oldest_served = '9999'"
UNSERVED = {
    "newer": (f"{NEWER}; {OF_NOBODY}", TOO_NEW),
    "newer, and silent": (f"{NEWER}; DELETE FROM schema_compatibility", TOO_NEW),
    "none of ours": (f"{NEWER}; DROP TABLE schema_compatibility", NOT_OURS),
    "older": (f"UPDATE alembic_version SET version_num = '{REVISIONS[-2]}'", OLDER),
    "not stamped": ("DELETE FROM alembic_version", NONE),
    "not there": ("DROP TABLE alembic_version", NONE),
}

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


async def execute(url: str, statements: str) -> None:
    for statement in statements.split("; "):
        await run_sql(url, statement)


async def run(url: str, folder: Path, *words: str, code: int = 0) -> str:
    """Run a command on the database, and return what it printed; if it failed, its last line of errors."""
    done = await asyncio.to_thread(Operator(url, folder).run, *words, code=code)
    return done.stderr.splitlines()[-1] if code == 1 and done.stderr else done.stdout


@on_a_lasting_database
async def test_a_newer_schema_that_serves_this_version_is_ready_and_everybody_says_that_it_is_newer(
    make_client: MakeClient, database_url: str, tmp_path: Path
) -> None:
    client = await make_client(migrate_on_start=True)
    assert (await client.get("/health/ready")).json()["schema"] == "at head"
    await execute(database_url, NEWER)

    async def all_is_well(client: Client) -> None:
        for path in ("/health/ready", "/health/db"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/health/ready")).json()["schema"] == "newer, compatible"

    await all_is_well(client)
    started = await make_client(migrate_on_start=True)  # also one that starts now, and would migrate
    await all_is_well(started)
    assert (await started.register("ada@example.com")).status_code == 201
    await started.sign_in()
    nothing = "the schema is newer than this version, and compatible: nothing to do\n"
    assert await run(database_url, tmp_path, "migrate") == nothing
    assert await run(database_url, tmp_path, "migrate", "--check") == nothing
    assert (await run(database_url, tmp_path, "cleanup")).startswith("deleted 0 ")
    assert "ok    schema: newer, compatible\n" in await doctor(database_url, tmp_path)
    assert "migrate back with the version that made it" in await run(
        database_url, tmp_path, "migrate", "--to", REVISIONS[-2], "--yes", code=1
    )
    assert await run_sql(database_url, "SELECT version_num FROM alembic_version") == [("9999",)]


@on_a_lasting_database
@pytest.mark.parametrize(("statements", "told"), UNSERVED.values(), ids=UNSERVED)
async def test_a_schema_that_does_not_serve_this_version_is_not_ready_and_everybody_says_why(
    client: Client, database_url: str, tmp_path: Path, statements: str, told: str
) -> None:
    await execute(database_url, statements)
    is_for_others = told in {TOO_NEW, NOT_OURS}
    if not is_for_others:
        told += f": {MIGRATE['postgresql' if database_url.startswith('postgresql') else 'sqlite']}"
    for path in ("/health/ready", "/health/db"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (503, "schema-not-ready", told)
    for words in (
        ("cleanup",),
        ("users", "list"),
        *([("migrate",), ("migrate", "--check")] if is_for_others else []),
    ):
        assert (await run(database_url, tmp_path, *words, code=1)).startswith(f"Error: {told}"), words
    # An embedded database is made and migrated when the service starts.
    is_made_late = database_url.startswith("sqlite") and not is_for_others
    said = "ok    schema: made or migrated when the service starts" if is_made_late else f"FAIL  schema: {told}\n"
    assert said in await doctor(database_url, tmp_path)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_grants_that_are_older_than_the_declaration_are_named_and_nobody_guesses(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    role = urlsplit(roles.as_role(database_url, "app")).username
    if role == urlsplit(database_url).username:
        pytest.skip("the server's role may not make roles")
    await execute(database_url, f'REVOKE SELECT ON schema_compatibility FROM "{role}"; {NEWER}')
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["detail"]) == (503, MissingPrivileges.detail)
    assert MissingPrivileges.detail in await run(database_url, tmp_path, "cleanup", code=1)
    await execute(database_url, f"UPDATE alembic_version SET version_num = '{HEAD}'")
    assert (await client.get("/health/ready")).json()["detail"] == MissingPrivileges.detail  # at head it is missing too


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_older_version_leaves_the_grants_of_a_newer_schema_alone(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    parts = urlsplit(roles.as_role(database_url, "app"))
    if parts.username == urlsplit(database_url).username:
        pytest.skip("the server's role may not make roles")
    await execute(
        database_url, f'{NEWER}; CREATE TABLE of_a_newer_one (); GRANT SELECT ON of_a_newer_one TO "{parts.username}"'
    )
    owner = roles.as_role(database_url, "owner")
    done = await run(owner, tmp_path, "migrate", "--grant-to", str(parts.username))
    assert done == "the schema is newer than this version, and compatible: nothing to do; the newer version grants\n"
    told = await run(owner, tmp_path, "grants", "--apply", "--role", str(parts.username), code=1)
    assert told == "Error: The database schema is newer: grant with the version of the service that migrated it."
    held = f"SELECT has_table_privilege('{parts.username}', 'of_a_newer_one', 'SELECT')"
    assert await run_sql(database_url, held) == [(True,)]
    assert (await client.get("/health/ready")).status_code == 200


@on_a_lasting_database
async def test_tables_of_another_application_are_no_fault_of_ours_and_stay_as_they_are(
    database_url: str, tmp_path: Path
) -> None:
    await execute(database_url, "DROP TABLE alembic_version")
    told = await run(roles.as_role(database_url, "owner"), tmp_path, "migrate", code=1)
    assert told.startswith("Error: The database has tables of names that the service needs")
    assert await run_sql(database_url, "SELECT count(*) FROM users") == [(0,)]


async def doctor(url: str, folder: Path) -> str:
    """What the doctor prints; the hashes of tests are too cheap for a good report."""
    return await run(url, folder, "doctor", "--target", "10", code=1)
