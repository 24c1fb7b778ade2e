"""A contestant's server: started, measured from the outside, and ended."""

import contextlib
import math
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from bench.contestants import USERS, Contestant, environment
from bench.generator import Generator, Job, Stretch
from tests.support.postgres import Cluster
from tests.support.server import free_port

SETUP_CONNECTIONS = 2
STAY = 120.0  # seconds; access tokens of five minutes then outlive the rounds up to the next time
PATIENCE = 30.0  # seconds until the first answer
# What each operation sends in the place that differs.
TOKEN_OF = {"refresh": "refresh", "me": "access", "verify": "access"}


class NotRunningError(RuntimeError):
    """A server or a command of a contestant failed; the text holds what it said."""


def prepare(contestant: Contestant, cluster: Cluster) -> None:
    """Make the contestant's database and its tables."""
    cluster.create_database(contestant.database)
    for command in contestant.prepare:
        done = subprocess.run(
            command,
            cwd=contestant.folder,
            env=environment(contestant.env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise NotRunningError(f"{contestant.name}: {command}: {done.stdout}{done.stderr}")


def postmaster(cluster: Cluster) -> int:
    """The process id of PostgreSQL, all of whose processes descend from it."""
    return int(cluster.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))


class Running:
    """The server, from construction to the end of the block; `seconds_to_first_answer` counts from its start."""

    def __init__(self, contestant: Contestant, workers: int = 1) -> None:
        self.contestant = contestant
        self.port = free_port()
        self._tokens = dict(contestant.tokens)
        self._signed_in_at = -math.inf
        with tempfile.NamedTemporaryFile("w", prefix="auth-bench-", suffix=".log", delete=False) as log:
            self._log = Path(log.name)
            started = time.perf_counter()
            self._process = subprocess.Popen(
                contestant.command(self.port, workers),
                cwd=contestant.folder,
                env=environment(contestant.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait(started + PATIENCE)
        except BaseException:
            self.close()
            raise
        self.seconds_to_first_answer = time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """What the server has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End the server and its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(10)
        self._log.unlink(missing_ok=True)

    def register(self, generator: Generator, users: Sequence[str] = USERS) -> None:
        """Make the users."""
        if self.contestant.register:
            generator.run(Job(self.port, self.contestant.register, users, connections=SETUP_CONNECTIONS))

    def stay_signed_in(self, generator: Generator, users: Sequence[str] = USERS) -> None:
        """Open a session for each user, unless that was done a short while ago; access tokens expire."""
        login = self.contestant.operations.get("login")
        if login and time.monotonic() > self._signed_in_at + STAY:
            self._signed_in_at = time.monotonic()
            _, found = generator.run(Job(self.port, login, users, connections=SETUP_CONNECTIONS))
            self._tokens = {kind: [one[kind] for one in found] for kind in found[0]}

    def measure(self, generator: Generator, operation: str, connections: int, seconds: float, postgres: int) -> Stretch:
        """One stretch of load; the CPU is the server's and PostgreSQL's."""
        exchange = self.contestant.operations[operation]
        kind = TOKEN_OF.get(operation)
        values = self._tokens[kind] if kind else USERS
        stretch, found = generator.run(Job(self.port, exchange, values, [self.pid, postgres], connections, seconds))
        if kind and exchange.chain:
            # What was not sent is as it was.
            self._tokens[kind] = [one.get(kind, old) for one, old in zip(found, values, strict=True)]
        return stretch

    def _wait(self, deadline: float) -> None:
        request = f"GET {self.contestant.first} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode()
        while not self._answers(request):
            if self._process.poll() is not None or time.perf_counter() > deadline:
                raise NotRunningError(f"{self.contestant.name} does not answer: {self.log()[-2000:]}")
            time.sleep(0.005)

    def _answers(self, request: bytes) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
                connection.sendall(request)
                return connection.recv(12).startswith(b"HTTP/1.1 ")
        except OSError:
            return False
