"""The command line as operators and cron meet it: output, exit codes, and the clean-up command."""

import json
import os
import pty
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from auth_service.cli import WORDS, main
from tests.conftest import environment
from tests.support.server import Server, free_port, run_command
from tests.support.sessions import HOUR, add_sessions, opened, session_ids

Finished = subprocess.CompletedProcess[str]


@pytest.fixture(params=["sqlite-file", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The databases that a second process can reach."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite+aiosqlite:///{tmp_path}/auth.db"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/auth.db"


async def fill(url: str, *lives: timedelta) -> None:
    async with opened(url) as database:
        await add_sessions(database, *lives)


async def remaining(url: str) -> int:
    async with opened(url) as database:
        return len(await session_ids(database))


NUMBERS = {  # option of a command, what is expected, and what is wrong beside a word
    ("cleanup", "--rate"): ("must be a whole number from 0 to 1000000.", "0.5", "-1", "1000001"),
    ("cleanup", "--batch-size"): ("must be a whole number from 1 to 5000.", "0", "5001", "1e3"),
    ("cleanup", "--time-budget"): ("must be a number of more than 0.", "0", "-1", "nan", "inf", "-inf", "1e400"),
    ("doctor", "--target"): ("must be a number from 10 to 5000.", "9.9", "nan", "inf"),
    ("audit", "list", "--limit"): ("must be a whole number from 1 to 10000000.", "0", "0.5"),
    ("users", "list", "--limit"): ("must be a whole number from 1 to 10000000.", "0", "0.5"),
    ("users", "import", "--batch-size"): ("must be a whole number from 1 to 10000.", "0", "0.5"),
    ("users", "import", "--resume-from"): ("must be a whole number of at least 1.", "0", "0.5"),
    ("serve", "--port"): ("must be a whole number from 0 to 65535.", "-1", "65536", "http"),
    ("serve", "--workers"): ("must be a whole number from 1 to 256.", "0", "257", "auto"),
    ("double", "--port"): ("must be a whole number from 0 to 65535.", "-1", "65536"),
}


@pytest.mark.parametrize("words", NUMBERS, ids=" ".join)
def test_a_number_that_an_option_cannot_take_is_refused_with_what_it_takes(words: tuple[str, ...]) -> None:
    expected, *wrong = NUMBERS[words]
    for value in (*wrong, "abc", ""):
        done = CliRunner().invoke(main, [*words[:-1], f"{words[-1]}={value}"])
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (
            2, f"Error: Invalid value for '{words[-1]}': {expected}",
        )  # fmt: skip


async def test_cleanup_deletes_and_says_in_one_line_what_it_did(database_url: str, tmp_path: Path) -> None:
    await fill(database_url, -HOUR, -2 * HOUR, HOUR)
    done = run_command("cleanup", env=environment(database_url), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("deleted 2 expired sessions in 1 batches and ")
    assert done.stdout.endswith(" s; 0 left; the audit trail is kept for 400 days\n")
    assert done.stdout.count("\n") == 1
    assert done.stderr == "", "no progress bar where nobody looks"
    assert await remaining(database_url) == 1


async def test_cleanup_json_is_one_document_with_the_whole_report(database_url: str, tmp_path: Path) -> None:
    await fill(database_url, *(-number * HOUR for number in range(1, 6)), HOUR)
    options = ("--json", "--batch-size", "2", "--time-budget", "0.000001")
    # Everything that SQLAlchemy has to say must go elsewhere.
    done = run_command("cleanup", *options, env=environment(database_url, DB_ECHO="true"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report.pop("seconds") > 0
    assert 3 * 3600 <= report.pop("oldest_expired_seconds") < 3 * 3600 + 60
    others = {
        "throttles_deleted": 0,
        "links_deleted": 0,
        "registrations_deleted": 0,
        "challenges_deleted": 0,
        "factors_deleted": 0,
        "audit_made": 0,
        "audit_dropped": 0,
        "audit_retention_days": 400.0,
    }
    assert report == {"deleted": 2, "batches": 1, "left": 3, "skipped": False, **others}


async def test_cleanup_takes_its_batch_size_from_the_settings(sqlite_url: str, tmp_path: Path) -> None:
    await fill(sqlite_url, -HOUR, -HOUR, -HOUR)
    env = environment(sqlite_url, AUTH_CLEANUP__BATCH_SIZE="2")
    assert json.loads(run_command("cleanup", "--json", env=env, cwd=tmp_path).stdout)["batches"] == 2


async def test_cleanup_dry_run_only_counts(database_url: str, tmp_path: Path) -> None:
    await fill(database_url, -HOUR, -2 * HOUR, HOUR)
    done = run_command("cleanup", "--dry-run", env=environment(database_url), cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("would delete 2 expired sessions, the oldest for 2:00:0")
    rest = ", 0 counts of attempts, 0 links, 0 unused accounts, 0 used challenges and 0 unconfirmed factors; "
    assert rest in done.stdout
    done = run_command("cleanup", "--dry-run", "--json", env=environment(database_url), cwd=tmp_path)
    report = json.loads(done.stdout)
    assert {name: report[name] for name in report if name.endswith("left")} == {
        "left": 2,
        "throttles_left": 0,
        "links_left": 0,
        "registrations_left": 0,
        "challenges_left": 0,
        "factors_left": 0,
    }
    assert [report[name] for name in ("deleted", "throttles_deleted", "skipped")] == [0, 0, False]
    assert await remaining(database_url) == 3


async def test_a_terminal_gets_a_progress_bar_and_stdout_stays_clean(sqlite_url: str, tmp_path: Path) -> None:
    await fill(sqlite_url, *([-HOUR] * 20))
    done = _on_a_terminal("cleanup", "--batch-size", "5", env=environment(sqlite_url), cwd=tmp_path)
    assert done.returncode == 0
    assert "deleting" in done.stderr
    assert "####" in done.stderr
    assert "100%" in done.stderr
    assert done.stdout.startswith("deleted 20 expired sessions in 4 batches")


async def test_a_terminal_gets_no_progress_bar_beside_json(sqlite_url: str, tmp_path: Path) -> None:
    await fill(sqlite_url, -HOUR)
    done = _on_a_terminal("cleanup", "--json", env=environment(sqlite_url), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["deleted"] == 1


def test_without_a_database_a_command_fails_in_one_line(tmp_path: Path) -> None:
    nowhere = f"postgresql://postgres:not-to-be-told@127.0.0.1:{free_port()}/auth"
    _fails_in_one_line(run_command("cleanup", env=environment(nowhere), cwd=tmp_path), "Nothing listens at", 75)


def test_without_a_database_a_migration_has_said_which_one_it_is_and_fails_in_one_line(tmp_path: Path) -> None:
    port = free_port()
    nowhere = f"postgresql://postgres:not-to-be-told@127.0.0.1:{port}/auth"
    done = run_command("migrate", env=environment(nowhere), cwd=tmp_path)
    name, _, failure = done.stderr.partition("\n")
    assert name == f"PostgreSQL database auth at 127.0.0.1:{port}"
    done.stderr = failure
    _fails_in_one_line(done, "Nothing listens at", 75)


def test_without_a_schema_cleanup_fails_in_one_line_that_says_what_to_do(sqlite_url: str, tmp_path: Path) -> None:
    done = run_command("cleanup", "--json", env=environment(sqlite_url), cwd=tmp_path)
    _fails_in_one_line(done, "run 'auth-service migrate'")


OF_A_SCHEMA = ("cleanup --json", "cleanup --dry-run", "users list", "users show ada@example.com", "keys list", "audit")


def test_no_command_but_a_migration_makes_the_default_file_and_all_say_which_file_they_use(tmp_path: Path) -> None:
    file, env = tmp_path / "auth-service.db", {"DATABASE_URL": ""}
    for words in OF_A_SCHEMA:
        done = run_command(*words.split(), env=env, cwd=tmp_path)
        _fails_in_one_line(done, f"DATABASE_URL is not set, and its default is not there (SQLite file {file})")
        done = run_command(*words.split(), env={"DATABASE_URL": "sqlite:///named.db"}, cwd=tmp_path)
        _fails_in_one_line(done, f"run 'auth-service migrate'. (SQLite file {tmp_path}/named.db is not there)")
    assert list(tmp_path.iterdir()) == []
    assert run_command("migrate", env=env, cwd=tmp_path).returncode == 0
    done = run_command("cleanup", "--json", env=env, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, f"DATABASE_URL is not set: SQLite file {file}\n")
    assert json.loads(done.stdout)["deleted"] == 0
    assert not (tmp_path / "auth-service.db.secret").exists()


@pytest.mark.parametrize("words", ["cleanup --json", "config check", "openapi", "--help", "--version"])
def test_an_output_that_cannot_be_written_is_said_in_one_line(words: str, sqlite_url: str, tmp_path: Path) -> None:
    env = environment(sqlite_url)
    assert run_command("migrate", env=env, cwd=tmp_path).returncode == 0
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            (*Server.program, *words.split()), env={**os.environ, **env}, cwd=tmp_path, check=False,
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        both = subprocess.run(
            (*Server.program, *words.split()), env={**os.environ, **env}, cwd=tmp_path, check=False,
            stdout=full, stderr=full,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (74, "Error: The output cannot be written: No space left on device\n")
    assert both.returncode == 74, "as of a job that appends both to one file"


def test_a_wrong_setting_ends_a_command_with_2_and_one_line_that_names_it(sqlite_url: str, tmp_path: Path) -> None:
    env = environment(sqlite_url, AUTH_CLEANUP__BATCH_SIZE="5001")
    done = run_command("cleanup", env=env, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: AUTH_CLEANUP__BATCH_SIZE: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("word", WORDS)
def test_every_command_explains_itself(word: str) -> None:
    help_text = CliRunner().invoke(main, [word, "--help"])
    assert help_text.exit_code == 0
    assert help_text.output.startswith(f"Usage: main {word} [OPTIONS]")
    assert "\n  -h, --help" in help_text.output
    assert f"  {word}" in CliRunner().invoke(main, ["--help"]).output


@pytest.mark.parametrize(
    "arguments",
    [
        "cleanup --batch-size 0",
        "cleanup --batch-size 5001",
        "cleanup --batch-size many",
        "cleanup --rate -1",
        "cleanup --rate 1000001",
        "cleanup --rate slow",
        "cleanup --time-budget 0",
        "cleanup --time-budget -1",
        "cleanup --time-budget nan",
        "cleanup --time-budget inf",
        "cleanup --time-budget 1e300",
        "cleanup --no-such-option",
        "cleanup everything",
        "audit --event login.forged",
        "audit --since yesterday",
        "audit --until 0001-01-01T00:00+23:59",
        "audit --limit 0",
        "serve --port 65536",
        "serve --workers 0",
        "no-such-word",
    ],
)
def test_wrong_use_ends_with_2(arguments: str) -> None:
    result = CliRunner().invoke(main, arguments.split())
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert "Error: " in result.stderr


def _fails_in_one_line(done: Finished, sentence: str, code: int = 1) -> None:
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "not-to-be-told" not in done.stderr


def _on_a_terminal(*arguments: str, env: dict[str, str], cwd: Path) -> Finished:
    """Run a command whose stderr is a terminal and whose stdout is a pipe."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(ours, shown))
    reader.start()
    command = [*Server.program, *arguments]
    try:
        done = subprocess.run(
            command, env={**os.environ, **env}, cwd=cwd, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False
        )
    finally:
        os.close(theirs)
        reader.join(10)
        os.close(ours)
    return Finished(command, done.returncode, done.stdout.decode(), b"".join(shown).decode())


def _read_all(terminal: int, shown: list[bytes]) -> None:
    """Read what appears on a terminal until its other end is closed, which Linux tells by an error."""
    try:
        while text := os.read(terminal, 4096):
            shown.append(text)
    except OSError:
        return
