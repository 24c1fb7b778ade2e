"""Migration 0015 on accounts that are there, up and down."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import MakeClient, environment
from tests.support.migrations import alembic
from tests.support.server import run_command
from tests.support.skeletons import add_as_an_older_service, fill_skeletons, sign_in_by_name
from tests.support.sql import run_sql


@pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)  # not used: make_client would take each
async def test_accounts_of_before_keep_names_that_look_alike_and_nobody_else_gets_one(
    make_client: MakeClient, empty_url: str, tmp_path: Path
) -> None:
    """Through 0014 and back, on data."""
    kept = ("admin", "\u0430dmin", "adm\u0456n", "adrnin", "r\u03bfot")
    assert run_command("migrate", env=environment(empty_url), cwd=tmp_path).returncode == 0
    client = await make_client(empty_url, throttle={"enabled": False})
    await client.register("ada@example.com")
    await asyncio.to_thread(alembic, empty_url, "downgrade", "0014")
    for name in kept:
        await add_as_an_older_service(empty_url, name)
    await asyncio.to_thread(alembic, empty_url, "upgrade", "head")
    await asyncio.to_thread(alembic, empty_url, "check")
    await fill_skeletons(client)
    for name in kept:
        assert await sign_in_by_name(client, name) == 200
    for name in ("\u03b1dmin", "adm1n", "root"):
        assert (await client.register("x@example.com", username=name)).status_code == 409
    assert (await client.register("x@example.com", username="r00t-2")).status_code == 201
    skeletons = "SELECT count(*) FROM users WHERE username_skeleton IS NOT NULL"
    assert await run_sql(empty_url, skeletons) == [(len(kept) + 1,)]
    await asyncio.to_thread(alembic, empty_url, "downgrade", "0014")
    assert await run_sql(empty_url, "SELECT count(*) FROM users WHERE username IS NOT NULL") == [(len(kept) + 1,)]
