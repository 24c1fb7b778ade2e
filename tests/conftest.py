"""Fixtures: the three databases that every journey runs on, and a client that talks to the real app."""

import gc
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog

from auth_service.main import create_app
from auth_service.settings import DatabaseSettings, LogSettings, Settings
from tests.interop.node import HAS_NODE
from tests.support import browser as chromium
from tests.support import canaries, claims, forks, late_writes, roles
from tests.support.browser import Browser
from tests.support.client import PASSWORD, Client
from tests.support.folders import fastest
from tests.support.gateways import KINDS, Kind
from tests.support.javascript_client import build
from tests.support.polling import eventually
from tests.support.postgres import Cluster, Postgres, external
from tests.support.server import Server, run_command

SECRET = canaries.SECRET
FAST_HASHING: dict[str, Any] = {"argon2_memory_kib": 64, "argon2_time_cost": 1}

# For a test of many requests, or of one that it cannot repeat: a machine that stands still for a while is no outage.
PATIENT: dict[str, Any] = {"statement_timeout": 30, "connect_timeout": 30, "pool_timeout": 2}

MakeClient = Callable[..., Awaitable[Client]]


def pytest_configure() -> None:
    """Let what tests write stay in memory where there is room, and fork the service's processes."""
    tempfile.tempdir = os.environ.setdefault("TMPDIR", str(fastest()))
    gc.set_threshold(20_000, 20, 100)  # each module ends with a full collection anyway
    forks.allow()


def pytest_report_header() -> str | None:
    url = os.environ.get("TEST_DATABASE_URL")
    if not url:
        return None
    if roles.may_make_roles(external(url)):
        return "TEST_DATABASE_URL: the service runs as auth_tests_app"
    return "TEST_DATABASE_URL: its role may not make roles, so the service runs as it: least privilege is NOT shown"


@pytest.fixture(scope="module", autouse=True)
def _short_collections() -> None:
    """Keep the garbage collector from what earlier modules left.

    It stops the process while it looks at everything. With the millions of objects at the end of a run that takes
    seconds, in which a service of this process answers nobody.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _bare_environment() -> Iterator[None]:
    """No setting of the developer's own reaches a test."""
    patch = pytest.MonkeyPatch()
    for name in os.environ:
        if name.startswith(("AUTH_", "DB_", "DATABASE_URL")):
            patch.delenv(name)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def _late_writes() -> Iterator[list[str]]:
    with late_writes.caught() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_late_writes(_late_writes: list[str]) -> Iterator[None]:
    """No use case asks for SQLite's lock when it has read already: it would not get it while another one writes."""
    yield
    found = _late_writes.copy()
    _late_writes.clear()
    assert not found, f"a write after a read, in a block of lone statements: {found}"


@pytest.fixture
def cold_start() -> Iterator[None]:
    """Every process of the service starts from nothing, for tests of the start itself."""
    with forks.forbidden():
        yield


@pytest.fixture(autouse=True)
def _log_level_of_its_own() -> Iterator[None]:
    """An app in this process sets the level of all logs; the next test expects that of the beginning."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture
def every_line() -> None:
    """Our own events have each its line, whatever level an app of an earlier test has set in this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("debug"))


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """What is started here can be ended by Ctrl-C, also if the tests run in the background of a shell."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test when what was logged or printed in this process meanwhile holds a secret of the suite.

    So does one that has not run the blocks of the pages that it claims.
    """
    report = yield
    claims.check(item, report)
    told = "\n".join(text for _, text in report.sections)
    # The client's own log has its URLs, and headers where another test has left all logs talkative.
    ours = "\n".join(line for line in told.splitlines() if "httpx" not in line and "httpcore" not in line)
    try:
        canaries.assert_told_nothing(ours, "the log")
    except AssertionError as error:
        report.outcome, report.longrepr = "failed", str(error)
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of the tests' own, which tests may stop and freeze; they leave it running."""
    with Cluster.create() as running:
        yield running


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Postgres:
    """The PostgreSQL that TEST_DATABASE_URL names, or the tests' own."""
    url = os.environ.get("TEST_DATABASE_URL")
    if url:
        return external(url)
    running: Cluster = request.getfixturevalue("cluster")
    return running


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database with the real migrations and the grants of the roles, to be copied for each test."""
    name = f"template_{uuid4().hex}"
    roles.prepare(postgres, name, environment, tmp_path_factory.mktemp("migrate"))
    yield name
    postgres.drop_database(name)
    roles.drop_roles(postgres)


@pytest.fixture
def postgres_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """The URL of a fresh database with the schema at head, for a test's own SQL; the service connects as `auth_app`."""
    name = f"test_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the real migrations, to be copied for each test."""
    folder = tmp_path_factory.mktemp("migrated")
    done = run_command("migrate", env=environment(f"sqlite+aiosqlite:///{folder}/auth.db"), cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "auth.db"


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """The URL of a fresh SQLite file with the schema at head: `auth.db` in the test's folder."""
    copy = shutil.copyfile(migrated_file, tmp_path / "auth.db")
    return f"sqlite+aiosqlite:///{copy}"


@pytest.fixture(params=["sqlite-memory", "sqlite-file", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each of the three databases in turn, with the schema at head; the one in memory is brought there at start."""
    if request.param == "sqlite-memory":
        return "sqlite+aiosqlite://"
    url: str = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "sqlite_url")
    return url


def environment(url: str, **extra: str) -> dict[str, str]:
    """The environment of a real process: its database, a secret, quick hashing, a prompt end, and a log that tells all.

    It runs as `auth_app` where the database knows that role, unless the URL names another role of the service.
    """
    return {
        "DATABASE_URL": roles.as_role(url, "app"),
        "AUTH_SECRET_KEY": SECRET,
        "AUTH_LOG__LEVEL": "debug",
        "AUTH_SHUTDOWN__DRAIN": "0",
        "AUTH_PASSWORD__ARGON2_MEMORY_KIB": "64",
        "AUTH_PASSWORD__ARGON2_TIME_COST": "1",
        **extra,
    }


def make_settings(url: str, **groups: Any) -> Settings:
    """Settings for an app in this process; `database={...}` adds to the database's."""
    database = DatabaseSettings(DATABASE_URL=roles.as_role(url, "app"), _env_file=None, **groups.pop("database", {}))
    groups["password"] = {**FAST_HASHING, **groups.get("password", {})}
    return Settings(
        database=database, _env_file=None, **{"secret_key": SECRET, "log": LogSettings(level="debug"), **groups}
    )


@pytest.fixture
async def make_client(database_url: str) -> AsyncIterator[MakeClient]:
    """Start the app with the given settings, on each database in turn, and return a client for it."""
    async with AsyncExitStack() as stack:

        async def make(url: str = database_url, **groups: Any) -> Client:
            app = create_app(make_settings(url, **groups))
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app=app)
            client = await stack.enter_async_context(Client(transport=transport, base_url="http://auth.example"))
            with suppress(TimeoutError):  # some tests start it on a database that does not work
                await eventually(_is_ready, client, seconds=5)
            return client

        yield make


async def _is_ready(client: Client) -> bool:
    return (await client.get("/health/ready")).status_code == 200


@pytest.fixture
async def client(make_client: MakeClient) -> Client:
    """A client for the app with default settings, on each database in turn."""
    return await make_client()


@pytest.fixture
async def ada(client: Client) -> Client:
    """The same client, with the account ada@example.com."""
    (await client.register("ada@example.com", PASSWORD, "ada")).raise_for_status()
    return client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium with a profile of the module's own; never skipped in CI."""
    if not chromium.available() and not os.environ.get("CI"):
        pytest.skip(chromium.NEEDED)
    patch = pytest.MonkeyPatch()
    patch.setenv("SE_OFFLINE", "true")
    patch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with Browser.start() as running:
        yield running
    patch.undo()


@pytest.fixture(scope="session")
def javascript_client(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of the JavaScript client, built, with its tests: once for all processes of a run."""
    if not HAS_NODE:
        pytest.skip("needs node and npm, which this machine does not have")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "javascript-client"
    build(folder)
    return folder


@pytest.fixture
def haproxy() -> Kind:
    """HAProxy, which is never skipped in CI."""
    kind = KINDS["haproxy"]
    if not kind.is_installed and not os.environ.get("CI"):
        pytest.skip(f"{kind.name} is not installed{kind.hint}")
    return kind


@pytest.fixture(scope="module")
def raced_service(
    postgres: Postgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Server]]:
    """A server without its limits on guessing, so that only locks decide, and the URL of its database."""
    name = f"races_{uuid4().hex}"
    postgres.create_database(name, template=migrated_template)
    url = postgres.url(name)
    with Server(environment(url, AUTH_THROTTLE__ENABLED="false"), tmp_path_factory.mktemp("races")) as server:
        server.wait_ready()
        yield url, server
    postgres.drop_database(name)
