"""One scrape tells of all workers, whichever answers it, whatever becomes of the others."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import psutil
import pytest

from tests.conftest import environment
from tests.support.prometheus import INTERNAL_TOKEN, Scrape, scrape
from tests.support.server import Server, wait_until

FORGED = json.dumps({"refresh_token": "art_forged"})
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", AUTH_INTERNAL_TOKEN=INTERNAL_TOKEN)
    with Server(env, folder, workers=2) as running:
        running.wait_ready(60)
        both_report(running)
        yield running


def send(server: Server, count: int, *, until_all_had_some: bool = False) -> int:
    """Refresh with a forged token, each time on a connection of its own, and return how often."""
    sent = 0
    with ExitStack() as stack:
        while sent < count or (until_all_had_some and not all_serve(server)):
            assert sent < 10 * count, "one worker gets everything"
            client = stack.enter_context(httpx.Client(base_url=server.base_url, trust_env=False))
            client.post("/auth/refresh", content=FORGED, headers=JSON)
            sent += 1
    return sent


def all_serve(server: Server) -> bool:
    return all(serves(pid, server.port) for pid in server.worker_pids())


def serves(pid: int, port: int) -> bool:
    connections = psutil.Process(pid).net_connections("tcp")
    return any(end.laddr.port == port and end.status == psutil.CONN_ESTABLISHED for end in connections)


def forged(found: Scrape) -> float:
    return found.value("auth_refreshes_total", outcome="forged")


def both_report(server: Server) -> None:
    def told() -> bool:
        return reporting(server) == 2 and len(server.worker_pids()) == 2

    wait_until(told, 30, server.log, interval=0.1)


def reporting(server: Server) -> float:
    try:
        return scrape(server.base_url).value("auth_workers_reporting")
    except httpx.TransportError:  # the worker that was to answer has just been killed
        return 0


def until_told(server: Server, count: float) -> None:
    wait_until(lambda: forged(scrape(server.base_url)) == count, 10, lambda: scrape(server.base_url).text, interval=0.1)


def cpu_of(found: Scrape) -> dict[str, float]:
    return {labels["worker"]: value for name, labels, value in found.samples if name == "process_cpu_seconds_total"}


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # uvicorn has lost its patience, and replaced it
            os.kill(pid, signal.SIGCONT)


def test_a_scrape_is_the_sum_of_what_was_sent_to_all_workers(server: Server) -> None:
    before = scrape(server.base_url)
    sent = send(server, 60, until_all_had_some=True)
    until_told(server, forged(before) + sent)
    answers = [scrape(server.base_url) for _ in range(10)]
    assert {forged(answer) for answer in answers} == {forged(before) + sent}
    of_refreshes = {"route": "/auth/refresh", "method": "POST"}
    for name in ("auth_http_requests_total", "auth_http_request_duration_seconds_count"):
        assert {answer.value(name, **of_refreshes) - before.value(name, **of_refreshes) for answer in answers} == {sent}
    assert answers[0].value("auth_workers") == 2
    assert answers[0].value("auth_hashing_threads") % 2 == 0
    assert set(cpu_of(answers[0])) == {"0", "1"}
    scrapes = [answer.value("auth_http_requests_total", route="/metrics") for answer in answers]
    assert scrapes == sorted(scrapes)


def test_what_a_worker_has_counted_stays_when_it_is_killed_and_replaced(server: Server) -> None:
    before = forged(scrape(server.base_url))
    send(server, 20)
    until_told(server, before + 20)
    for victim in server.worker_pids():
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda gone=victim: gone not in server.worker_pids(), 30, server.log)  # type: ignore[misc]
        both_report(server)
        assert forged(scrape(server.base_url)) == before + 20
    send(server, 20)
    until_told(server, before + 40)


def test_a_worker_that_hangs_holds_no_scrape_up_and_is_missed(server: Server) -> None:
    counted = forged(scrape(server.base_url))
    with stopped(server.worker_pids()[0]):
        wait_until(lambda: reporting(server) == 1, 15, server.log, interval=0.1)
        found = scrape(server.base_url)
        assert forged(found) == counted
        assert len(cpu_of(found)) == 1
    both_report(server)
