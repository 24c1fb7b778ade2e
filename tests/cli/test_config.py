"""`auth-service config check`: all that is wrong with the settings in one report, before anything runs with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SECRET
from tests.support.server import run_command

POSTGRESQL = {"DATABASE_URL": "postgresql://auth:hunter2@db/auth"}


def checked(folder: Path, code: int, **env: str) -> dict[str, dict[str, Any]]:
    """Run the command, which must end with this code and change nothing; return what it says by name."""
    before = sorted(folder.iterdir())
    done = run_command("config", "check", "--json", env=env, cwd=folder)
    assert (done.returncode, done.stderr) == (code, "")
    assert "hunter2" not in done.stdout
    assert SECRET not in done.stdout
    report = json.loads(done.stdout)
    assert report["ok"] is (code == 0) is (report["problems"] == [])
    assert (report["note"] is not None) is (report["ok"] and "DATABASE_URL" not in env)
    assert sorted(folder.iterdir()) == before
    return {problem.pop("name"): problem for problem in report["problems"]}


def test_settings_that_can_be_used_pass_without_a_database(tmp_path: Path) -> None:
    assert checked(tmp_path, 0) == {}
    assert checked(tmp_path, 0, **POSTGRESQL, AUTH_SECRET_KEY=SECRET, AUTH_LOG__LEVEL="debug") == {}


def test_postgresql_without_a_secret_key_is_told(tmp_path: Path) -> None:
    assert set(checked(tmp_path, 2, **POSTGRESQL)) == {"AUTH_SECRET_KEY"}
    unreadable = checked(tmp_path, 2, **POSTGRESQL, AUTH_SECRET_KEY_FILE="hunter2")
    assert "cannot be read" in unreadable["AUTH_SECRET_KEY"]["message"]


def test_the_clean_up_is_checked_by_what_it_needs(tmp_path: Path) -> None:
    told = run_command("config", "check", env=POSTGRESQL, cwd=tmp_path)
    assert told.stdout.endswith("; the clean-up needs none: --for cleanup\n")
    done = run_command("config", "check", "--for", "cleanup", env=POSTGRESQL, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "all settings can be used\n")
    env = {**POSTGRESQL, "AUTH_AUDIT__RETENTION": "P29D", "AUTH_CLEANUP__RATE": "x"}
    done = run_command("config", "check", "--for", "cleanup", env=env, cwd=tmp_path)
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "AUTH_AUDIT__RETENTION", "AUTH_CLEANUP__RATE",
    ]  # fmt: skip
    assert done.returncode == 2


def test_people_read_a_line_for_each_problem(tmp_path: Path) -> None:
    done = run_command("config", "check", env={}, cwd=tmp_path)
    told = f"all settings can be used\nnote: DATABASE_URL is not set: SQLite file {tmp_path}/auth-service.db\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    env = {"AUTH_TOKENS__ACESS_LIFETIME": "hunter2", "DB_POOL_SIZE": "hunter2"}
    done = run_command("config", "check", env=env, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.splitlines() == [
        "AUTH_TOKENS__ACESS_LIFETIME: is no setting; did you mean AUTH_TOKENS__ACCESS_LIFETIME?",
        "DB_POOL_SIZE: must be a whole number",
    ]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """Also what is only compared once all values are right by themselves, and never what follows from another fault."""
    wrong = {
        "AUTH_COOKIES__ENABLED": "true",
        "AUTH_INTERNAL_TOKEN": "hunter2",
        "AUTH_LOG__LEVEL": "hunter2",
        "AUTH_MAIL__SENDER": "hunter2",
        "AUTH_PASSWORD__BLOCKLIST": "/hunter2",
        "AUTH_TOKENS": "hunter2",
        "AUTH_TOKENS__LEEWAY": "hunter2",
        "AUTH_TOKENS__REFRESH_IDLE_LIFETIME": "P31D",
        "DATABASE_READ_REPLICA_URL": "hunter2",
        "DATABASE_URL": "postgresql://auth:hunter2@db/auth?sslmode=hunter2",
        "DB_POOL_SIZE": "hunter2",
    }
    right = {"AUTH_MAIL__HOST": "mail.example", "AUTH_PUBLIC_URL": "http://hunter2.example"}
    found = checked(tmp_path, 2, AUTH_SECRET_KEY_FILE="hunter2", **wrong, **right)
    assert set(found) == {*wrong, "AUTH_SECRET_KEY"}


def test_two_disagreements_of_one_group_are_both_said(tmp_path: Path) -> None:
    env = {"AUTH_MAIL__HOST": "mail.example", "AUTH_MAIL__USERNAME": "me"}
    done = run_command("config", "check", env=env, cwd=tmp_path)
    assert [line.partition(", ")[0] for line in done.stdout.splitlines()] == [
        "AUTH_MAIL: must have AUTH_MAIL__USERNAME and AUTH_MAIL__PASSWORD",
        "AUTH_MAIL: must have AUTH_MAIL__SENDER",
    ]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("AUTH_SECRET", "AUTH_SECRET_KEY"),
        ("AUTH_SECRET_KEYFILE", "AUTH_SECRET_KEY_FILE"),
        ("AUTH_MAIL_PORT", "AUTH_MAIL__PORT"),
        ("AUTH_ACCESS_LIFETIME", "AUTH_TOKENS__ACCESS_LIFETIME"),
        ("DB_POOLSIZE", "DB_POOL_SIZE"),
        ("DB_STATEMENT_TIME_OUT", "DB_STATEMENT_TIMEOUT"),
        ("AUTH_XYZ", None),
        ("AUTH_PORT", "serve --port"),
        ("AUTH_HOST", "serve --host"),
        ("AUTH_WORKERS", "serve --workers"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABASE_URLS", "DATABASE_URL"),
        ("DATABASEURL", "DATABASE_URL"),
        ("DATABASE_URI_FILE", "DATABASE_URL_FILE"),
        ("DATABASE_REPLICA_URL", "DATABASE_READ_REPLICA_URL"),
        ("DATABASE_READ_URL", "DATABASE_READ_REPLICA_URL"),
        ("DATABASE_READONLY_URL", "DATABASE_READ_REPLICA_URL"),
        ("DATABASE_REPLICA_URL_FILE", "DATABASE_READ_REPLICA_URL_FILE"),
    ],
)
def test_a_name_that_nothing_reads_is_told_with_the_nearest_one(name: str, nearest: str | None, tmp_path: Path) -> None:
    assert checked(tmp_path, 2, **{name: "hunter2"}) == {name: {"message": "is no setting", "did_you_mean": nearest}}
    (tmp_path / ".env").write_text(f"{name}=hunter2\n")
    assert set(checked(tmp_path, 2)) == {name}


def test_names_of_other_programs_that_begin_like_those_of_the_database_are_left_alone(tmp_path: Path) -> None:
    words = (
        "HOST",
        "PORT",
        "NAME",
        "USER",
        "PASSWORD",
        "PASSWORD_FILE",
        "USER_FILE",
        "SSL",
        "PUBLIC_URL",
        "THREADS",
        "READ_TIMEOUT",
    )
    assert checked(tmp_path, 0, **{f"DATABASE_{word}": "hunter2" for word in words}) == {}


@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///:memory:", "sqlite://", "sqlite+aiosqlite:///"])
def test_a_database_in_memory_is_told(url: str, tmp_path: Path) -> None:
    found = checked(tmp_path, 2, DATABASE_URL=url)
    assert "is a database in memory" in found["DATABASE_URL"]["message"]


def test_the_variables_of_a_kubernetes_service_are_no_typing_errors(tmp_path: Path) -> None:
    links = {
        "AUTH_SERVICE_HOST": "10.0.0.1",
        "AUTH_SERVICE_PORT": "8000",
        "AUTH_SERVICE_PORT_HTTP": "8000",
        "AUTH_PORT": "tcp://10.0.0.1:8000",
        "AUTH_PORT_8000_TCP_ADDR": "10.0.0.1",
    }
    assert checked(tmp_path, 0, **links) == {}
    del links["AUTH_SERVICE_HOST"]
    assert set(checked(tmp_path, 2, **links)) == set(links)


def test_templates_that_cannot_be_used_are_said_too(tmp_path: Path) -> None:
    (tmp_path / "verify-email.txt").write_text("{{ hunter2")
    assert set(checked(tmp_path, 2, AUTH_MAIL__TEMPLATES=str(tmp_path))) == {"AUTH_MAIL__TEMPLATES"}


@pytest.mark.parametrize(
    ("file", "told"),
    [("", "no folder"), ("/nowhere/auth.db", "it is not there"), ("/.env/auth.db", "it is not there")],
)
def test_an_sqlite_file_that_cannot_be_there_is_said_too(file: str, told: str, tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    found = checked(tmp_path, 2, DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}{file}")
    assert told in found["DATABASE_URL"]["message"]
    done = run_command("serve", env={"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}{file}"}, cwd=tmp_path, timeout=20)
    assert (done.returncode, done.stderr) == (2, f"Error: DATABASE_URL: {found['DATABASE_URL']['message']}\n")


@pytest.mark.parametrize(
    "line", ["AUTH_LOG__LEVEL: hunter2", "set AUTH_LOG__LEVEL=hunter2", 'AUTH_LOG__LEVEL="hunter2', "- AUTH_X=hunter2"]
)
def test_a_line_of_the_env_file_that_says_nothing_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# ours\n\nDB_POOL_SIZE=3\n{line}\n")
    done = run_command("config", "check", env={}, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ".env, line 4: is not NAME=VALUE, or its quotes do not end: it says nothing\n"
    assert "hunter2" not in done.stderr
