"""The real service as a subprocess, and the small things every process of a test needs: a port and a bounded wait."""

import contextlib
import http.client
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import psutil

from . import canaries, forks

_OUR_OWN = (sys.executable, "-m", "auth_service")
_PROGRAM = "TEST_PROGRAM"  # names another one than this checkout's, such as that of an image: deploy/try-image
_INHERITED = ("PATH", "HOME", "LANG")
_handed_out: set[int] = set()


class ServerDiedError(RuntimeError):
    """The service ended while a test waited for it; the text holds its exit code and its log."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on and that this process was not given before.

    Raises OSError when a hundred ports in a row are taken.
    """
    # Below the ephemeral range (32768 and up on Linux): otherwise the kernel may give the port to an outgoing
    # connection while its server is down, and a client that retries may even connect to itself.
    for _ in range(100):
        port = 15_000 + secrets.randbelow(17_000)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    raise OSError("no free port between 15000 and 32000")


def wait_until(check: Callable[[], bool], timeout: float, failure: Callable[[], str], interval: float = 0.02) -> None:
    """Call `check` every `interval` seconds until it is true; raise TimeoutError(failure()) after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(failure())
        time.sleep(interval)


def run_command(
    *arguments: str, env: Mapping[str, str], cwd: Path, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `python -m auth_service ARGUMENTS` and return its exit code and output, whatever the code is.

    Fails when that holds a secret of the suite.

    Takes the environment as Server does; raises subprocess.TimeoutExpired after `timeout` seconds.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = start(arguments, env, cwd, output.fileno(), errors.fileno())
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        for file in (output, errors):
            file.seek(0)
        done = subprocess.CompletedProcess(arguments, code, output.read(), errors.read())
    canaries.assert_told_nothing(done.stdout + done.stderr, f"`auth-service {arguments}`")
    return done


def start(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, output: int, errors: int
) -> "subprocess.Popen[bytes] | forks.Fork":
    """Start `python -m auth_service ARGUMENTS` in a session of its own, by a fork where that is possible."""
    full = _environment(env)
    if _PROGRAM not in os.environ and forks.possible(full):
        return forks.Fork(list(arguments), full, cwd, output, errors)
    return subprocess.Popen(
        [*Server.program, *arguments],
        env=full,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )


class Server:
    """`auth_service serve` on 127.0.0.1 with exactly the settings it is given.

    Takes the environment (to which only PATH, HOME, LANG and COVERAGE_* are added), the working directory, the
    number of workers, and a port (a free one by default). The process runs from construction on; as a context
    manager it ends with the block.
    """

    program: ClassVar[tuple[str, ...]] = tuple(shlex.split(os.environ.get(_PROGRAM, ""))) or _OUR_OWN

    def __init__(self, env: Mapping[str, str], cwd: Path, *, workers: int = 1, port: int | None = None) -> None:
        self.workers = workers
        self.port = port or free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._final_log: str | None = None
        handle, name = tempfile.mkstemp(prefix="auth-tests-server-", suffix=".log")
        self.log_file = Path(name)
        options = ("--host", "127.0.0.1", "--port", str(self.port), "--workers", str(workers))
        try:
            self._process = start(["serve", *options], env, cwd, handle, handle)
        except BaseException:
            self.log_file.unlink()
            raise
        finally:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id of the supervisor, which with one worker may be the worker too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The supervisor's exit code (negative: the signal that ended it), or None while it runs."""
        return self._process.poll()

    def wait_live(self, timeout: float = 15) -> None:
        """Wait until GET /health/live answers 200.

        Raises ServerDiedError when the process ends first, TimeoutError after `timeout` seconds.
        """
        self._wait_for("/health/live", timeout)

    def wait_ready(self, timeout: float = 15) -> None:
        """Wait until GET /health/ready answers 200.

        Raises ServerDiedError when the process ends first, TimeoutError after `timeout` seconds.
        """
        self._wait_for("/health/ready", timeout)

    def wait_ended(self, timeout: float = 15) -> int:
        """Wait for the supervisor to end by itself and return its exit code.

        Raises subprocess.TimeoutExpired after `timeout` seconds.
        """
        return self._process.wait(timeout)

    def log(self) -> str:
        """Return what the service has written to stdout and stderr so far; works after the end too."""
        if self._final_log is not None:
            return self._final_log
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def worker_pids(self) -> list[int]:
        """Return the process ids that serve requests, ascending: the workers, or the supervisor that has none."""
        workers = [child.pid for child in self._children() if not _is_resource_tracker(child)]
        return sorted(workers) or [self.pid]

    def terminate(self, timeout: float = 15) -> int:
        """Send SIGTERM to the supervisor and return its exit code.

        Raises subprocess.TimeoutExpired when it still runs after `timeout` seconds.
        """
        self._process.terminate()
        return self._process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL the supervisor and every process of its group; return when all are gone (10 seconds at most)."""
        # The session is the service's own, so the group also holds workers that outlived their supervisor.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(10)
        wait_until(lambda: not _group_lives(self.pid), 10, lambda: f"process group {self.pid} survives SIGKILL")

    def close(self) -> None:
        """End whatever still runs and delete the log file; `log()` keeps its text. Fails if that holds a secret."""
        if self._final_log is None:
            self.kill()
            self._final_log = self.log()
            self.log_file.unlink()
            canaries.assert_told_nothing(self._final_log, "the server's log")

    def _wait_for(self, path: str, timeout: float) -> None:
        wait_until(
            lambda: self._answers(path),
            timeout,
            lambda: f"{path} was not 200 within {timeout} s; the log:\n{self.log()}",
            interval=0.05,  # every poll is a line of the service's log
        )

    def _answers(self, path: str) -> bool:
        if self.returncode is not None:
            raise ServerDiedError(f"the service ended with code {self.returncode}; its log:\n{self.log()}")
        # Not urllib: it would obey a proxy named by the environment.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _children(self) -> list[psutil.Process]:
        try:
            return list(psutil.Process(self.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("COVERAGE_")}
    return {**kept, **env}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_resource_tracker(process: psutil.Process) -> bool:
    """Tell multiprocessing's bookkeeper (a child of every spawning supervisor) from a worker."""
    try:
        return any("resource_tracker" in argument for argument in process.cmdline())
    except psutil.NoSuchProcess:
        return True


def _group_lives(group: int) -> bool:
    """Tell whether a process of a group still runs; zombies do not count, as not every container's init reaps them."""
    return any(_group_of(process.pid) == group for process in psutil.process_iter() if not _is_zombie(process))


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
