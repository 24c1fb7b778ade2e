"""Replicas of the service behind HAProxy, which asks each whether it is ready, as docs/gateways.md says."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .gateway_commands import Site
from .gateway_places import INTERNAL_TOKEN
from .gateways import KINDS, Gateway, started
from .server import Server, free_port

_SHIPPED = 'server auth "${GATEWAY_AUTH}" pool-purge-delay 5s'
_CHECK = "check inter 100ms fastinter 500ms fall 2 rise 2"  # as there, but for `inter`


class Replicas:
    """Replicas on ports of their own, each started with the environment and the number of workers that it is given."""

    def __init__(self, folder: Path, environments: Sequence[Mapping[str, str]], *, workers: Sequence[int]) -> None:
        self._folder = folder
        self._workers = workers
        self.ports = [free_port() for _ in environments]
        self.running = [self._start(number, env) for number, env in enumerate(environments)]
        for server in self.running:
            server.wait_ready(60)

    def start(self, number: int, env: Mapping[str, str]) -> None:
        """Start one in the place of the one that has ended there."""
        self.running[number].close()
        self.running[number] = self._start(number, env)
        self.running[number].wait_ready(60)

    def end(self, number: int) -> None:
        """End one as an operator would."""
        assert self.running[number].terminate(timeout=30) == 0

    def _start(self, number: int, env: Mapping[str, str]) -> Server:
        return Server(env, self._folder, workers=self._workers[number], port=self.ports[number])

    def close(self) -> None:
        for server in self.running:
            server.close()


@contextmanager
def behind_haproxy(ports: Sequence[int], folder: Path, app_port: int | None = None) -> Iterator[Gateway]:
    """HAProxy with the shipped configuration, and the lines of docs/gateways.md for several replicas."""

    def edit(_name: str, text: str) -> str:
        way = ["option httpchk GET /health/ready", "option redispatch", "timeout check 5s"]
        servers = [f"server auth{port} 127.0.0.1:{port} {_CHECK}" for port in ports]
        return text.replace(_SHIPPED, "\n    ".join([*way, *servers]))

    site = Site(ports[0], app_port or free_port(), INTERNAL_TOKEN)
    with started(KINDS["haproxy"], site, folder, edit=edit) as running:
        yield running


async def sends_requests_to(gateway: Gateway, port: int) -> bool:
    """Whether the replica at this port, which was away, is back for each of the three ways to the service."""
    said = dict(re.findall(rf"Server (\w+)/auth{port} is (UP|DOWN)", gateway.log()))  # the last word counts
    return list(said.values()) == ["UP"] * 3
