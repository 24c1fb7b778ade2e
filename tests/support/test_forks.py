"""A forked process of the service, which is quicker to start, is to a test what one is that starts from nothing."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.conftest import environment
from tests.support import forks
from tests.support.server import Server, run_command

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="they are forked on Linux alone")


@pytest.mark.parametrize("words", [("--help",), ("unknown",), ("users", "show", "ada@example.com"), ("migrate",)])
def test_a_forked_command_says_and_returns_what_one_does_that_starts_from_nothing(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    done = []
    for name in ("forked", "cold"):
        (tmp_path / name).mkdir()
        env = environment("sqlite+aiosqlite:///auth.db", AUTH_LOG__LEVEL="warning")
        assert forks.possible(env)
        if name == "forked":
            done.append(run_command(*words, env=env, cwd=tmp_path / name))
        else:
            with forks.forbidden():
                done.append(run_command(*words, env=env, cwd=tmp_path / name))
    told = [(each.returncode, each.stdout, each.stderr) for each in done]
    forked, cold = (
        [str(text).replace(str(tmp_path / name), "here") for text in each]
        for name, each in zip(("forked", "cold"), told, strict=True)
    )
    assert forked == cold
    files = [sorted(file.name for file in (tmp_path / name).iterdir()) for name in ("forked", "cold")]
    assert files[0] == files[1]


def test_a_forked_server_has_its_own_session_folder_and_environment_and_dies_of_signals(tmp_path: Path) -> None:
    with Server(environment("sqlite+aiosqlite:///auth.db", TZ="Asia/Tokyo"), tmp_path) as server:
        server.wait_ready()
        assert os.getsid(server.pid) == os.getpgid(server.pid) == server.pid
        assert psutil.Process(server.pid).cwd() == str(tmp_path)
        assert (tmp_path / "auth.db").exists()
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait_ended() == -signal.SIGKILL
    with Server(environment("sqlite+aiosqlite:///auth.db"), tmp_path) as server:
        server.wait_ready()
        assert server.terminate() == 0


def test_a_forked_server_that_is_killed_before_it_has_done_anything_is_gone(tmp_path: Path) -> None:
    for _ in range(5):
        with Server(environment("sqlite+aiosqlite://"), tmp_path) as server:
            assert os.getpgid(server.pid) == server.pid
        assert server.returncode == -signal.SIGKILL


@pytest.mark.parametrize("name", ["PYTHONPATH", "COVERAGE_PROCESS_START", "LC_ALL"])
def test_what_python_reads_when_it_starts_keeps_a_process_from_being_forked(name: str) -> None:
    assert forks.possible({})
    assert not forks.possible({name: "x"})


def test_forks_are_possible_again_after_a_failure_where_they_were_forbidden() -> None:
    with pytest.raises(TimeoutError), forks.forbidden():
        raise TimeoutError
    assert forks.possible({})
