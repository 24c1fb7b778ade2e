"""The file of the Python client: whole at any moment, for many processes, and for nobody else."""

import json
import random
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from auth_service_client import AuthClient, FileStore, SignInAgain

from tests.support.python_client import MakeAuth, sign_in

OLD = {"access_token": "old", "refresh_token": "old", "session_id": "1", "expires_in": 300, "issued_at": 0, "ahead": 0}
# It counts in the file, and says each number that it has written.
COUNTING = """
import sys
from auth_service_client import FileStore
store = FileStore(sys.argv[1])
while True:
    with store.open() as saved:
        saved.update(count=saved.get("count", 0) + 1, filler="x" * 50_000)
    print(saved["count"], flush=True)
"""
# It is killed when one half of the file is written.
DYING = """
import os, sys
from auth_service_client import FileStore
class Dying(dict):
    def items(self):
        os.kill(os.getpid(), 9)
with FileStore(sys.argv[1]).open() as saved:
    saved.update(filler="x" * 1_000_000, last=Dying(x=1))
"""


def started(program: str, path: Path) -> "subprocess.Popen[str]":
    env = {"PYTHONPATH": "clients/python/src"}
    return subprocess.Popen([sys.executable, "-c", program, str(path)], env=env, stdout=subprocess.PIPE, text=True)


def test_processes_that_are_killed_at_any_moment_lose_nothing_that_was_kept(tmp_path: Path) -> None:
    path, chance = tmp_path / "session.json", random.Random(1)

    def count_for_a_while() -> list[int]:
        counting = started(COUNTING, path)
        assert counting.stdout
        written = [counting.stdout.readline()]
        time.sleep(chance.uniform(0, 0.1))
        counting.kill()
        return [int(number) for number in [*written, *counting.communicate()[0].splitlines()]]

    with ThreadPoolExecutor(4) as threads:
        written = [number for of in threads.map(lambda _: count_for_a_while(), range(12)) for number in of]
    assert len(set(written)) == len(written) > 24, "no two have written the same number"
    with FileStore(path).open() as saved:
        assert max(written) <= saved["count"] <= len(written) + 12
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_process_that_is_killed_in_the_middle_of_a_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    for kept in ({}, OLD):
        with FileStore(path).open() as saved:
            saved.update(kept)
        dying = started(DYING, path)
        assert (dying.communicate()[0], dying.returncode) == ("", -signal.SIGKILL)
        assert Path(f"{path}.new").stat().st_size > 500_000, "it has begun to write"
        with FileStore(path).open() as saved:
            assert saved == kept


def test_a_file_that_is_no_session_is_none(make_auth: MakeAuth, tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    for content in ("", "{", "[1]", '"x"'):
        path.write_text(content)
        auth = make_auth(FileStore(path))
        with pytest.raises(SignInAgain):
            auth.access_token()
        sign_in(auth)
        assert json.loads(path.read_text())["session_id"]


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o666])
def test_a_file_that_others_may_read_is_closed_to_them_when_it_is_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "session.json"
    path.write_text(json.dumps(OLD))
    path.chmod(mode)
    with FileStore(path).open() as saved:
        assert saved == OLD
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_another_program_wrote_is_no_session(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text('{"access_token": "x"}')
    with (
        AuthClient("https://auth.example.com", FileStore(tmp_path / "session.json")) as auth,
        pytest.raises(SignInAgain),
    ):
        auth.access_token()


@pytest.mark.parametrize("planted", ["a file for all", "a link"])
def test_what_stands_where_the_file_is_drafted_gets_no_token(tmp_path: Path, planted: str) -> None:
    path, draft, elsewhere = (tmp_path / name for name in ("session.json", "session.json.new", "elsewhere"))
    if planted == "a link":
        draft.symlink_to(elsewhere)
    else:
        draft.touch()
        draft.chmod(0o666)
    with FileStore(path).open() as saved:
        saved.update(OLD)
    assert not elsewhere.exists()
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_another_process_holds_for_good_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "session.json")
    started = time.monotonic()
    with store.open(), pytest.raises(TimeoutError, match="locked"), FileStore(tmp_path / "session.json").open():
        pass
    assert 4 < time.monotonic() - started < 20
