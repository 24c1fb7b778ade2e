"""The database, the two processes of the service and their proxies."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.postgres import Cluster
from tests.support.server import Server, run_command
from tests.support.tcp_proxy import TcpProxy
from torture.history import Attempt, Settings

DATABASE = "torture"
WORKERS = (1, 2)  # of each process: killing a worker is one thing with a supervisor and another without
_SECRET = "dG9ydHVyZSBvbmx5OiAzMiBieXRlcyBvciBtb3JlLCBhcyBhc2tlZA"


@dataclass
class Node:
    """One process of the service, as often as it is started, and the proxy that clients reach it through."""

    server: Server
    proxy: TcpProxy
    workers: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"


class World:
    """Everything that a run starts. As a context manager it ends with the block and leaves the logs in `folder`."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._stack = ExitStack()
        self.folder = folder
        self.settings = settings
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            _end(node)
        self._stack.close()

    @property
    def database_url(self) -> str:
        return self.cluster.url(DATABASE)

    def command(self, *arguments: str) -> str:
        """Run one of the operator's commands and return what it printed; RuntimeError with that if it failed."""
        done = run_command(*arguments, env=self._environment(), cwd=self.folder)
        if done.returncode != 0:
            raise RuntimeError(f"auth-service {' '.join(arguments)}: {(done.stdout + done.stderr).strip()[-300:]}")
        return done.stdout.strip()

    def restart(self, node: Node) -> None:
        """Start the process of a node again; returns once it answers."""
        _end(node)
        node.server = self._serve(node.workers, node.server.port)
        node.server.wait_live(30)

    def _start(self) -> None:
        self.cluster = self._stack.enter_context(Cluster.create())
        self.cluster.execute("ALTER SYSTEM SET full_page_writes = on")
        self.cluster.execute("SELECT pg_reload_conf()")
        self._stack.callback(lambda: (self.folder / "postgresql.log").write_text(self.cluster.log()))
        self.cluster.create_database(DATABASE)
        self.command("migrate")
        for number, workers in enumerate(WORKERS):
            server = self._serve(workers, None)
            proxy = self._stack.enter_context(TcpProxy(server.port))
            self.nodes.append(Node(server, proxy, workers, self.folder / f"service-{number}.log"))
        for node in self.nodes:
            node.server.wait_ready(30)

    def _serve(self, workers: int, port: int | None) -> Server:
        return Server(self._environment(), self.folder, workers=workers, port=port)

    def _environment(self) -> dict[str, str]:
        lifetime = str(self.settings.session_lifetime)
        return {
            "DATABASE_URL": self.database_url,
            "AUTH_SECRET_KEY": _SECRET,
            "AUTH_PASSWORD__ARGON2_MEMORY_KIB": "64",
            "AUTH_PASSWORD__ARGON2_TIME_COST": "1",
            "AUTH_THROTTLE__ENABLED": "false",  # owners retry as often as it takes: guessing has tests of its own
            "AUTH_TOKENS__REFRESH_GRACE": str(self.settings.grace),
            "AUTH_TOKENS__ACCESS_LIFETIME": str(self.settings.access_lifetime),
            "AUTH_TOKENS__LEEWAY": str(self.settings.leeway),
            "AUTH_TOKENS__REFRESH_IDLE_LIFETIME": lifetime,
            "AUTH_TOKENS__REFRESH_ABSOLUTE_LIFETIME": lifetime,
            "AUTH_REVOCATIONS__STALE_AFTER": str(self.settings.stale_after),
            "AUTH_SESSIONS__MAX_PER_USER": "10000",  # nobody is evicted: that has tests of its own
            "AUTH_PROXY__TRUSTED": "127.0.0.1/32",  # a follower comes from elsewhere
            "AUTH_LOG__FORMAT": "json",
        }


def _end(node: Node) -> None:
    """End a node's process and keep its log: it tells which answers were lost after the work had been done."""
    node.server.close()
    with node.log.open("a", encoding="utf-8") as log:
        log.write(node.server.log())


def served(logs: Iterable[Path], attempts: Iterable[Attempt]) -> dict[str, int]:
    """Count what only the service's own log can tell: answers that it sent and nobody got, and fast-forwards."""
    unanswered = {attempt.id: attempt.op for attempt in attempts if attempt.status is None}
    counts: Counter[str] = Counter()
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            event = _event(line)
            name, op = event.get("event"), unanswered.get(str(event.get("request_id")))
            if name == "request" and op and int(str(event.get("status", 500))) < 300:
                counts[f"answers lost after the work: {op}"] += 1
            elif name == "request.failed":
                counts[f"{name} {event.get('exception')}"] += 1
            elif name in {"refresh.fast_forwarded", "revocations.stale"}:
                counts[str(name)] += 1
    return dict(counts)


def _event(line: str) -> dict[str, object]:
    """A line of the service's log; one that a kill cut off counts as empty."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
