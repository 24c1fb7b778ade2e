"""Processes of the service that are forked from one that has imported it already; see `forker`."""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

_KEPT = ("PATH", "HOME", "LANG")
_ROOT = Path(__file__).parents[2]
# Read when Python starts, so too late for a fork.
_READ_AT_START = ("PYTHON", "COVERAGE_", "LC_")
_allowed = False


def allow() -> None:
    """From now on `possible` may say yes, on Linux."""
    global _allowed  # noqa: PLW0603
    _allowed = hasattr(os, "pidfd_open")


@contextlib.contextmanager
def forbidden() -> Iterator[None]:
    """For the length of the block, every process starts from nothing, as it does for users."""
    global _allowed  # noqa: PLW0603
    before, _allowed = _allowed, False
    try:
        yield
    finally:
        _allowed = before


def possible(env: Mapping[str, str]) -> bool:
    """Return whether a process with this environment may be forked: nothing in it changes how Python starts."""
    language = os.environ.get("LANG")
    return _allowed and env.get("LANG", language) == language and not any(n.startswith(_READ_AT_START) for n in env)


class Fork:
    """`python -m auth_service ARGUMENTS` in a session of its own; the parts of subprocess.Popen that tests use."""

    def __init__(self, arguments: list[str], env: Mapping[str, str], cwd: Path, output: int, errors: int) -> None:
        self.args = arguments
        self.returncode: int | None = None
        message = json.dumps({"arguments": arguments, "env": dict(env), "cwd": str(cwd)}).encode()
        ours, theirs = socket.socketpair()
        with theirs:
            _FORKER.ask(message, [output, errors, theirs.fileno()])
        self._news = ours.makefile("rb", buffering=0)
        ours.close()
        self.pid = self._hear()

    def poll(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        return self._end_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; raises subprocess.TimeoutExpired after `timeout` seconds."""
        code = self._end_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def terminate(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _end_within(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._news], [], [], timeout)[0]:
            self.returncode = self._hear()
            self._news.close()
        return self.returncode

    def _hear(self) -> int:
        line = self._news.readline()
        if not line:
            raise RuntimeError("the process that forks has ended")
        return int(line)


class _Forker:
    """The process that forks, which starts with the first command and ends with this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None

    def ask(self, message: bytes, descriptors: list[int]) -> None:
        with self._lock:
            if self._requests is None:
                self._requests = self._start()
        socket.send_fds(self._requests, [message], descriptors)

    @staticmethod
    def _start() -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        command = [sys.executable, "-m", "tests.support.forker"]
        with theirs:
            process = subprocess.Popen(
                command, cwd=_ROOT, env=kept, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True
            )
        atexit.register(process.wait, 10)
        atexit.register(ours.close)  # before the wait, which it ends
        return ours


_FORKER = _Forker()
