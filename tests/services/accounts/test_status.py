"""Disabling and enabling accounts through the command line."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.support.client import Client
from tests.support.server import run_command

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


async def run(*words: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command while the service in this process goes on: it may hold SQLite's lock for writers just then."""
    return await asyncio.to_thread(run_command, *words, env=env, cwd=cwd)


@on_a_lasting_database
async def test_enabling_an_account_that_is_active_signs_nobody_out(
    ada: Client, database_url: str, tmp_path: Path
) -> None:
    tokens = await ada.sign_in()
    enabled = await run("users", "enable", "ada@example.com", env=environment(database_url), cwd=tmp_path)
    assert enabled.returncode == 0, enabled.stderr
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 200


@on_a_lasting_database
async def test_a_disabled_account_is_out_for_good(ada: Client, database_url: str, tmp_path: Path) -> None:
    tokens = await ada.sign_in()
    for word in ("disable", "disable", "enable"):
        done = await run("users", word, "ada@example.com", env=environment(database_url), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (await ada.refresh(tokens["refresh_token"])).status_code == 401
    assert (await ada.login()).status_code == 200


@on_a_lasting_database
async def test_an_unknown_account_is_one_line_and_exit_code_1(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    failed = await run("users", "disable", "nobody@example.com", env=environment(database_url), cwd=tmp_path)
    assert (failed.returncode, failed.stderr) == (1, "Error: There is no such user.\n")
