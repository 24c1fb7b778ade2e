"""Two replicas behind a gateway that asks whether they are ready: restarting one after the other loses no request."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.support.gateway_commands import Site
from tests.support.gateway_places import INTERNAL_TOKEN
from tests.support.gateways import KINDS, Gateway, started
from tests.support.polling import eventually
from tests.support.processes import events
from tests.support.server import Server, free_port
from tests.support.traffic import Traffic

DRAIN = 2.0  # seconds; the gateway below needs a tenth of that, on a machine that is not busy
SLOW_BODY = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
SHIPPED = 'server auth "${GATEWAY_AUTH}" pool-purge-delay 5s'


class Replicas:
    """Two replicas on ports of their own, the second with two workers."""

    def __init__(self, url: str, folder: Path) -> None:
        patience = {"DB_STATEMENT_TIMEOUT": "20", "DB_POOL_TIMEOUT": "2"}  # a busy machine is not what this is about
        drain = {"AUTH_SHUTDOWN__DRAIN": str(DRAIN)}
        self._env = environment(url, AUTH_INTERNAL_TOKEN=INTERNAL_TOKEN, **drain, **patience)
        self._folder = folder
        self.ports = [free_port(), free_port()]
        self.running = [self._start(number) for number in range(2)]
        for server in self.running:
            server.wait_ready(60)

    def _start(self, number: int) -> Server:
        return Server(self._env, self._folder, workers=number + 1, port=self.ports[number])

    def end(self, number: int) -> None:
        """End one as an operator would, while slow clients hang on to it."""
        with ExitStack() as stack:
            for _ in range(20):
                slow = socket.create_connection(("127.0.0.1", self.ports[number]), timeout=5)
                stack.enter_context(slow).sendall(SLOW_BODY)
            assert stack.enter_context(self.running[number]).terminate(timeout=30) == 0

    def start_again(self, number: int) -> None:
        self.running[number] = self._start(number)
        self.running[number].wait_ready(60)

    def close(self) -> None:
        for server in self.running:
            server.close()


@pytest.fixture
def replicas(postgres_url: str, tmp_path: Path) -> Iterator[Replicas]:
    found = Replicas(postgres_url, tmp_path)
    yield found
    found.close()


@pytest.fixture
def gateway(replicas: Replicas, tmp_path: Path) -> Iterator[Gateway]:
    """HAProxy with the shipped configuration, and the lines of docs/gateways.md for several replicas."""
    kind = KINDS["haproxy"]
    if not kind.is_installed and not os.environ.get("CI"):
        pytest.skip(f"{kind.name} is not installed{kind.hint}")

    def edit(_name: str, text: str) -> str:
        lines = [f"server auth{port} 127.0.0.1:{port} check inter 100ms fall 1 rise 2" for port in replicas.ports]
        return text.replace(SHIPPED, "\n    ".join(["option httpchk GET /health/ready", "timeout check 5s", *lines]))

    with started(
        kind, Site(replicas.ports[0], free_port(), INTERNAL_TOKEN), tmp_path / "haproxy", edit=edit
    ) as running:
        yield running


async def test_a_rolling_restart_under_load_and_with_slow_clients_loses_no_request(
    replicas: Replicas, gateway: Gateway
) -> None:
    async with Traffic([gateway.base_url]) as traffic:
        await traffic.goes_on()
        await asyncio.to_thread(replicas.end, 0)
        await traffic.goes_on()
        await asyncio.to_thread(replicas.start_again, 0)
        await eventually(serves_users, replicas.running[0])
        await asyncio.to_thread(replicas.end, 1)
        await traffic.goes_on()
    assert (traffic.statuses, traffic.lost) == ({200}, 0), _remarkable(gateway.log())


async def serves_users(server: Server) -> bool:
    return bool(events(server.log(), "request", path="/auth/refresh"))


def _remarkable(log: str) -> str:
    """What the gateway says of its servers, and its requests that failed."""
    return "\n".join(line for line in log.splitlines() if " 200 " not in line)
