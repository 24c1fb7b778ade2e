"""The file of the Python client: whole at any moment, for many processes, and for nobody else."""

import json
import os
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
    for content in ("", "{", "[1]", '"x"', "[" * 100_000, '{"access_token":' * 100_000):
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


LINKS = ("link.json", "chain.json", "alias/real.json", "alias/../link.json", "new/link.json")


def linked(folder: Path) -> Path:
    """A folder where links of every kind lead to `real.json`."""
    (folder / "own").mkdir()
    (folder / "link.json").symlink_to("own/real.json")
    (folder / "chain.json").symlink_to(folder / "link.json")
    (folder / "alias").symlink_to("own")
    (folder / "new").mkdir()
    (folder / "new/link.json").symlink_to("../alias/real.json")
    return folder / "own/real.json"


@pytest.mark.parametrize("by", LINKS)
def test_who_comes_by_a_link_shares_the_session_and_leaves_the_link(tmp_path: Path, by: str) -> None:
    real = linked(tmp_path)
    link = tmp_path / by
    with FileStore(link).open() as saved:
        saved.update(OLD)
    with FileStore(real).open() as saved:
        assert saved == OLD
        saved.update(access_token="new")
    with FileStore(link).open() as saved:
        assert saved["access_token"] == "new"
    assert sorted(path.name for path in real.parent.iterdir()) == ["real.json", "real.json.lock"]
    assert (tmp_path / "link.json").is_symlink()


def test_a_link_that_is_made_while_a_process_runs_is_followed_too(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "link.json")
    real = linked(tmp_path)
    with store.open() as saved:
        saved.update(OLD)
    assert json.loads(real.read_text()) == OLD


@pytest.mark.parametrize("path", ["session.json", "./session.json", "../session.json"])
def test_a_process_that_goes_to_another_folder_keeps_its_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "one/two").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "one")
    store = FileStore(path)
    with store.open() as saved:
        saved.update(OLD)
    monkeypatch.chdir(tmp_path / "one/two")
    with store.open() as saved:
        assert saved == OLD


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a pipe", "", "/", "~nobody-of-this-name/session.json"])
def test_what_is_no_file_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link to a pipe").symlink_to("pipe")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"is no file|home directory"):
        FileStore(tmp_path / kind if (tmp_path / kind).name == kind else kind)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    store = FileStore(tmp_path / "later")
    os.mkfifo(tmp_path / "later")
    with pytest.raises(ValueError, match="is no file"), store.open():
        pass
