"""`auth-service serve` ends in time when it is asked to, whatever its clients do, and finishes what it has begun."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import environment
from tests.support.client import Client
from tests.support.polling import eventually
from tests.support.postgres import Postgres
from tests.support.problems import assert_problem
from tests.support.processes import events
from tests.support.server import Server, free_port, run_command, wait_until

pytestmark = pytest.mark.usefixtures("cold_start")
IN_TIME = 20  # seconds: ten for those who are being served, two to close, and some for a busy machine
SLOW_BODY = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
UNREAD = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 15  # more than the kernel keeps
MANY_EVENTS = """
INSERT INTO audit_events (at, id, event, user_id, user_agent, details)
SELECT now(), gen_random_uuid(), 'login.succeeded', $1, repeat('x', 250), '{}' FROM generate_series(1, 30000)
"""
KEPT_ALIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def server(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[Server]:
    with Server(environment(postgres_url), tmp_path, workers=request.param) as running:
        running.wait_ready(60)
        yield running


def assert_ends_well(server: Server) -> None:
    started = time.monotonic()
    assert server.terminate(timeout=IN_TIME) == 0
    assert time.monotonic() - started < IN_TIME
    assert "Traceback" not in server.log()


def test_a_service_that_nobody_uses_ends_at_once(server: Server) -> None:
    assert_ends_well(server)


async def test_whoever_waits_for_news_is_answered_and_holds_nothing_up(postgres_url: str, tmp_path: Path) -> None:
    token = {"X-Internal-Token": "internal-token-of-the-tests"}
    env = environment(postgres_url, AUTH_INTERNAL_TOKEN=token["X-Internal-Token"])
    with Server(env, tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, headers=token, timeout=60) as client:
            etag = (await client.get("/internal/revocations")).raise_for_status().headers["etag"]
            headers = {"If-None-Match": etag}
            waiting = asyncio.create_task(client.get("/internal/revocations?wait=60", headers=headers))
            await client.get("/health/ready")  # on a second connection, after the first has been taken
            assert not waiting.done()
            await asyncio.to_thread(server.terminate, IN_TIME)
            assert (await waiting).status_code == 304
        assert "timeout graceful shutdown exceeded" not in server.log()


async def test_it_first_says_that_it_is_not_ready_and_serves_on(postgres_url: str, tmp_path: Path) -> None:
    with Server(environment(postgres_url, AUTH_SHUTDOWN__DRAIN="60"), tmp_path) as server:
        server.wait_ready(60)
        os.kill(server.pid, signal.SIGTERM)
        async with Client(base_url=server.base_url, trust_env=False, timeout=10) as client:
            await eventually(is_not_ready, client)
            assert_problem(await client.get("/health/ready"), 503, "shutting-down")
            assert (await client.get("/health/live")).status_code == 200
        async with Client(base_url=server.base_url, trust_env=False, timeout=10) as newcomer:
            assert (await newcomer.register("ada@example.com")).status_code == 201
        assert events(server.log(), "service.draining", seconds=60)
        assert_ends_well(server)  # the second signal is obeyed at once


async def is_not_ready(client: Client) -> bool:
    return (await client.get("/health/ready")).status_code == 503


def test_sighup_ends_and_restarts_nothing(server: Server) -> None:
    """As when the terminal of whoever started it is closed, or a supervisor asks for a reload."""
    workers = server.worker_pids()
    for pid in {server.pid, *workers}:
        os.kill(pid, signal.SIGHUP)
    server.wait_ready()
    assert server.worker_pids() == workers
    assert_ends_well(server)  # the supervisor handles signals in their order, so a restart would be told by now
    assert "SIGHUP" not in server.log()


async def test_sigterm_while_a_database_does_not_answer_ends_it_and_logs_no_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://auth_app@127.0.0.1:{silent.getsockname()[1]}/auth"
        env = environment(url, DB_CONNECT_TIMEOUT="1.9")  # of every 2 seconds, a job waits so many
        with Server(env, tmp_path) as server:
            server.wait_live(60)
            await eventually(has_begun_to_wait, server, seconds=30)
            async with Client(base_url=server.base_url, trust_env=False, timeout=10) as client:
                health = await client.get("/health/ready")  # which takes 0.8 s, so that one waits now
                assert health.status_code == 503
            assert_ends_well(server)
        assert {json.loads(line)["level"] for line in server.log().splitlines()} <= {"debug", "info", "warning"}


def test_before_the_first_migration_one_event_tells_what_is_waited_for(postgres: Postgres, tmp_path: Path) -> None:
    name = f"test_{uuid4().hex}"
    postgres.create_database(name)
    env = environment(postgres.url(name), AUTH_PUBLIC_URL="http://127.0.0.1:8000")
    with Server(env, tmp_path) as server:
        # The fifth comes after 3.75 seconds, and the keys are read every two.
        wait_until(lambda: len(events(server.log(), "service.not_ready")) > 4, 30, server.log)
        told = [json.loads(line) for line in server.log().splitlines()]
        assert {one["event"] for one in told if one["level"] in {"warning", "error"}} == {"service.not_ready"}
        assert all("run 'auth-service migrate" in one["detail"] for one in told if one["level"] == "warning")
        done = run_command("migrate", env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        server.wait_ready()
        wait_until(lambda: bool(events(server.log(), "service.ready")), 30, server.log)
        assert_ends_well(server)
    postgres.drop_database(name)


async def has_begun_to_wait(server: Server) -> bool:
    return bool(events(server.log(), "service.not_ready"))


def test_an_idle_connection_does_not_hold_it_up(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as idle:
        idle.sendall(KEPT_ALIVE)
        assert b"200 OK" in idle.recv(4096)
        assert_ends_well(server)


def test_slow_clients_do_not_hold_it_up(postgres_url: str, tmp_path: Path) -> None:
    env = environment(postgres_url, AUTH_DOCS__ENABLED="true")
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(env, tmp_path, workers=n)) for n in (1, 2)]
        for server in servers:
            server.wait_ready(60)
            for part in [SLOW_BODY] * 20 + [KEPT_ALIVE[:20]] + [UNREAD] * 2:
                slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
                slow.sendall(part)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(assert_ends_well, servers))
        for server in servers:  # it did not even have to give up on them
            assert "timeout graceful shutdown exceeded" not in server.log()


async def test_a_request_that_is_cut_short_by_the_end_is_a_503(postgres_url: str, tmp_path: Path) -> None:
    rival = await asyncpg.connect(postgres_url)
    with Server(environment(postgres_url, DB_STATEMENT_TIMEOUT="60"), tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False, timeout=30) as client:
            (await client.register("ada@example.com")).raise_for_status()
            tokens = await client.sign_in()
            async with rival.transaction():
                await rival.execute("SELECT * FROM refresh_tokens FOR UPDATE")
                refreshing = asyncio.create_task(client.refresh(tokens["refresh_token"]))
                await eventually(blocks_somebody, postgres_url, rival.get_server_pid())
                ending = asyncio.create_task(asyncio.to_thread(assert_ends_well, server))
                answer = await refreshing
                await ending
    await rival.close()
    assert_problem(answer, 503, "unavailable")


async def test_a_request_that_has_begun_is_finished(server: Server, postgres_url: str) -> None:
    rival = await asyncpg.connect(postgres_url)
    async with Client(base_url=server.base_url, trust_env=False, timeout=10) as client:
        (await client.register("ada@example.com")).raise_for_status()
        tokens = await client.sign_in()
        async with rival.transaction():
            await rival.execute("SELECT * FROM refresh_tokens FOR UPDATE")
            refreshing = asyncio.create_task(client.refresh(tokens["refresh_token"]))
            await eventually(blocks_somebody, postgres_url, rival.get_server_pid())
            ending = asyncio.create_task(asyncio.to_thread(assert_ends_well, server))
            await eventually(is_shutting_down, server)
        answer = await refreshing
        await ending
    await rival.close()
    assert answer.status_code == 200
    assert answer.json()["session_id"] == tokens["session_id"]


async def blocks_somebody(url: str, pid: int) -> bool:
    observer = await asyncpg.connect(url)
    found = await observer.fetchval(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))", pid
    )
    await observer.close()
    return bool(found)


async def is_shutting_down(server: Server) -> bool:
    return "Shutting down" in server.log()


def test_a_port_that_is_taken_ends_it_with_an_error(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        done = run_command("serve", "--port", str(port), env={}, cwd=tmp_path, timeout=20)
    assert done.returncode == 1
    assert "in use" in done.stdout + done.stderr


def test_another_port_than_that_of_the_default_public_url_is_warned_of(tmp_path: Path) -> None:
    for public_url, count in ((None, 1), ("http://127.0.0.1:8000", 0)):
        env = environment("sqlite+aiosqlite://", **({"AUTH_PUBLIC_URL": public_url} if public_url else {}))
        with Server(env, tmp_path) as server:
            server.wait_live()
            warned = events(server.log(), "service.other_port", level="warning", port=server.port)
            assert len(warned) == count
            assert all("http://127.0.0.1:8000: set AUTH_PUBLIC_URL" in one["hint"] for one in warned)


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "70000"],
        ["--workers", "0"],
        ["--nonsense"],
        ["now"],
        *(["--host", host] for host in ("", "127.0.0.1:8000", "http://localhost", "[::1]", "localhost:")),
    ],
)
def test_wrong_use_ends_with_code_2_and_says_what_is_wrong(options: list[str], tmp_path: Path) -> None:
    done = run_command("serve", *options, env={}, cwd=tmp_path)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_a_client_that_stops_reading_when_the_end_has_come_does_not_hold_it_up(
    postgres_url: str, tmp_path: Path
) -> None:
    rival = await asyncpg.connect(postgres_url)
    with Server(environment(postgres_url, DB_STATEMENT_TIMEOUT="60"), tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False, timeout=30) as client:
            user = (await client.register("ada@example.com")).raise_for_status().json()["id"]
            token = (await client.sign_in())["access_token"]
        await rival.execute(MANY_EVENTS, user)  # so that the answer is more than the kernel keeps
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as unread:
            async with rival.transaction():
                await rival.execute("LOCK TABLE audit_events")
                unread.sendall(
                    f"GET /auth/me/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
                )
                await eventually(blocks_somebody, postgres_url, rival.get_server_pid())
                ending = asyncio.create_task(asyncio.to_thread(assert_ends_well, server))
                await eventually(is_shutting_down, server)
            await ending
    await rival.close()
    assert "timeout graceful shutdown exceeded" not in server.log()
