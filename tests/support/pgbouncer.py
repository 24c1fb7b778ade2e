"""PgBouncer in transaction pooling mode before a test's own PostgreSQL."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from .postgres import Cluster, new_folder, unprivileged
from .server import free_port, wait_until

USERS = ("postgres", "auth_owner", "auth_app", "auth_cleanup")

# What is not here stays at its default: a client that needs more shall fail.
_CONFIG = """\
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
ignore_startup_parameters = {ignored}
"""


def available() -> bool:
    """Return whether a pgbouncer program is installed."""
    return _program() is not None


class PgBouncer:
    """PgBouncer on a free port of 127.0.0.1 that lends `pool_size` server connections per database.

    It takes the startup parameters that are `ignored`, and does not pass them on.

    Takes a running cluster. As a context manager it starts with the block and ends with it.
    """

    def __init__(self, cluster: Cluster, *, pool_size: int = 2, ignored: str = "") -> None:
        self.port = free_port()
        self._values = {"server_port": cluster.port, "port": self.port, "pool_size": pool_size, "ignored": ignored}
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the URL of a database of the cluster as reached through PgBouncer."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self, timeout: float = 10) -> None:
        """Start PgBouncer and wait until it listens.

        Raises FileNotFoundError when it is not installed, RuntimeError with its log when it dies, TimeoutError after
        `timeout` seconds.
        """
        program = _program()
        if program is None:
            raise FileNotFoundError("pgbouncer is not installed")
        self._folder = new_folder("pgbouncer")
        self._process = self._spawn(program, self._folder)
        wait_until(self._listens, timeout, lambda: f"PgBouncer does not listen; its log:\n{self.log()}")

    def log(self) -> str:
        """Return what PgBouncer has logged so far; nothing once it is closed."""
        log = self._folder and self._folder / "log"
        return log.read_text(encoding="utf-8", errors="replace") if log and log.exists() else ""

    def close(self) -> None:
        """End PgBouncer at once and delete its folder; may be called twice."""
        if self._process is not None:
            self._process.kill()  # it keeps nothing that an orderly end would save
            self._process.wait(10)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self, program: str, folder: Path) -> subprocess.Popen[bytes]:
        config = folder / "pgbouncer.ini"
        users = folder / "users.txt"
        users.write_text("".join(f'"{user}" ""\n' for user in USERS), encoding="utf-8")
        config.write_text(_CONFIG.format(**self._values, users=users), encoding="utf-8")
        for file in (users, config):
            file.chmod(0o644)
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                [program, config],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **unprivileged(),
            )

    def _listens(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"PgBouncer ended; its log:\n{self.log()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True


def _program() -> str | None:
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
