"""Two replicas behind a gateway that asks whether they are ready: neither a restart of one after the other loses a
request nor a database that stands still for a moment."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.support import roles
from tests.support.behind import behind_proxy
from tests.support.gateway_places import INTERNAL_TOKEN
from tests.support.gateways import Gateway, Kind
from tests.support.polling import eventually
from tests.support.processes import events
from tests.support.replicas import Replicas, behind_haproxy
from tests.support.server import Server
from tests.support.tcp_proxy import TcpProxy
from tests.support.traffic import Traffic

STANDSTILL = 1.0  # seconds: longer than readiness waits for the database, and shorter than a statement may take
DRAIN = 2.0  # seconds; the gateway below needs a tenth of that, on a machine that is not busy
SLOW_BODY = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture
def line(postgres_url: str) -> Iterator[tuple[TcpProxy, str]]:
    """The way to the database, and its URL there."""
    with behind_proxy(roles.as_role(postgres_url, "app")) as found:
        yield found


@pytest.fixture
def env(line: tuple[TcpProxy, str]) -> dict[str, str]:
    patience = {"DB_STATEMENT_TIMEOUT": "20", "DB_POOL_TIMEOUT": "2"}  # a busy machine is not what this is about
    drain = {"AUTH_SHUTDOWN__DRAIN": str(DRAIN), "AUTH_TOKENS__REFRESH_GRACE": "0"}  # every refresh rotates
    return environment(line[1], AUTH_INTERNAL_TOKEN=INTERNAL_TOKEN, **drain, **patience)


@pytest.fixture
def replicas(env: dict[str, str], tmp_path: Path) -> Iterator[Replicas]:
    """Two, the second with two workers."""
    found = Replicas(tmp_path, [env, env], workers=[1, 2])
    yield found
    found.close()


@pytest.fixture
def gateway(replicas: Replicas, haproxy: Kind, tmp_path: Path) -> Iterator[Gateway]:
    with behind_haproxy(replicas.ports, tmp_path / haproxy.name) as running:
        yield running


def end_with_slow_clients(replicas: Replicas, number: int) -> None:
    """End one while slow clients hang on to it."""
    with ExitStack() as stack:
        for _ in range(20):
            slow = socket.create_connection(("127.0.0.1", replicas.ports[number]), timeout=5)
            stack.enter_context(slow).sendall(SLOW_BODY)
        replicas.end(number)


async def test_a_rolling_restart_under_load_and_with_slow_clients_loses_no_request(
    replicas: Replicas, gateway: Gateway, env: dict[str, str]
) -> None:
    async with Traffic([gateway.base_url]) as traffic:
        await traffic.goes_on()
        await asyncio.to_thread(end_with_slow_clients, replicas, 0)
        await traffic.goes_on()
        await asyncio.to_thread(replicas.start, 0, env)
        await eventually(serves_users, replicas.running[0])
        await asyncio.to_thread(end_with_slow_clients, replicas, 1)
        await traffic.goes_on()
    assert (traffic.statuses, traffic.lost) == ({200}, 0), gateway.troubles()


async def serves_users(server: Server) -> bool:
    return bool(events(server.log(), "request", path="/auth/refresh"))


async def test_a_database_that_stands_still_for_a_second_makes_requests_wait_and_loses_none(
    gateway: Gateway, line: tuple[TcpProxy, str]
) -> None:
    """No replica can answer in time then whether it is ready. If each went for that, there would be none left."""
    database, _ = line
    async with Traffic([gateway.base_url]) as traffic:
        await traffic.goes_on()
        database.silence()
        await asyncio.sleep(STANDSTILL)
        database.pass_through()
        await traffic.goes_on()
    assert (traffic.statuses, traffic.lost) == ({200}, 0), gateway.troubles()
