"""Ten hours of twenty clients with one session, at a service that loses answers, is killed and has another clock."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from auth_service_client import AuthClient, FileStore, SignInAgain, TryAgainLater

from auth_service.testing.double import Double
from tests.support.python_client import sign_in
from tests.support.server import free_port

CLIENTS, PROCESSES, STEPS = 16, 4, 12
STEP = 40 * 60  # seconds of the service's clock
ASLEEP: dict[str, Any] = {
    "fault": "lose-answer",
    "jump": 600,
}  # the client never got the answer, and slept past the grace
TIRED = {"share": 0.2, "times": None}
FAULTS = [
    {"fault": "lose-answer", **TIRED},
    {"fault": "lose-request", **TIRED},
    {"fault": "unavailable", "seconds": 0, **TIRED},
    {"fault": "lose-answer", "route": "GET /auth/me", **TIRED},
]
# A process of its own: for each line that it reads it asks for the account, and says what came of it.
PROCESS = """
import sys
from auth_service_client import AuthClient, FileStore, TryAgainLater
auth = AuthClient(sys.argv[1], FileStore(sys.argv[2]))
for line in sys.stdin:
    try:
        auth.account()
        print("known", flush=True)
    except TryAgainLater:
        print("later", flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


class Worker:
    """A client in a process of its own."""

    def __init__(self, url: str, path: Path) -> None:
        self._arguments = [url, str(path)]
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, *self._arguments],
            env={"PYTHONPATH": "clients/python/src"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def account(self) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip() or "killed"

    def account_or_killed(self, seconds: float) -> str:
        """Ask for the account, and be killed after so many seconds, wherever that is; another process goes on."""
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(self.account)
            time.sleep(seconds)
            self._process.kill()
        self.end()
        self._start()
        return asked.result()

    def end(self) -> None:
        self._process.communicate(timeout=30)


def asked(auth: AuthClient) -> str:
    """Ask for the account, and say what came of it."""
    try:
        auth.account()
    except TryAgainLater:
        return "later"
    except SignInAgain:
        return "SignInAgain"
    return "known"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.json"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CLIENTS + PROCESSES + 1) as pool:
        yield pool


@pytest.mark.parametrize("seed", [1])
def test_twenty_clients_of_one_session_are_never_signed_out_until_one_signs_out(
    tmp_path: Path, path: Path, threads: ThreadPoolExecutor, seed: int
) -> None:
    chance, port = random.Random(seed), free_port()
    with ExitStack() as stack:
        double = stack.enter_context(Double(file=tmp_path / "double.db", port=port, seed=seed))
        clients = [stack.enter_context(AuthClient(double.url, FileStore(path))) for _ in range(CLIENTS)]
        workers = [Worker(double.url, path) for _ in range(PROCESSES)]
        for worker in workers:
            stack.callback(worker.end)
        sign_in(clients[0])
        seen: list[str] = []
        now = 0.0
        for step in range(STEPS):
            if step % 5 == 4:
                double.kill()
                seen += all_ask(threads, clients[:2], ())
                double = stack.enter_context(Double(file=tmp_path / "double.db", port=port, seed=seed + step))
            now += STEP + ASLEEP["jump"]
            double.set_clock(now)
            if step % 2:
                double.switch_faults(ASLEEP)
                seen.append(workers[step % PROCESSES].account())
            double.switch_faults(*chance.sample(FAULTS, 3))
            if chance.random() < 0.3:
                with FileStore(path).open() as saved:
                    saved["issued_at"] -= chance.uniform(200, 3600)  # by the clients' clocks, they slept
            doomed = threads.submit(workers[-1].account_or_killed, chance.uniform(0, 0.05))
            seen += [*all_ask(threads, clients, workers[:-1]), doomed.result()]
            assert set(seen) <= {"known", "later", "killed"}, (step, seen[-CLIENTS - PROCESSES :])
        double.switch_faults()
        assert set(all_ask(threads, clients, workers)) == {"known"}
        assert seen.count("known") > len(seen) / 2, Counter(seen)
        assert seen.count("killed") > 0
        assert clients[3].sign_out()
        assert set(all_ask(threads, clients, workers)) == {"SignInAgain"}


def all_ask(threads: ThreadPoolExecutor, clients: Sequence[AuthClient], workers: Sequence[Worker]) -> list[str]:
    """All of them at once."""
    running = [threads.submit(asked, auth) for auth in clients] + [threads.submit(one.account) for one in workers]
    return [one.result() for one in running]
