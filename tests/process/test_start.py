"""A start imports what it needs and nothing else: a server all that requests need, a command its own parts."""

import asyncio
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import environment
from tests.support.client import PASSWORD, Client
from tests.support.processes import events
from tests.support.server import Server, free_port, wait_until

INTERNAL = "internal-token-of-the-tests"
OTHER_DATABASES = {"aiosqlite", "sqlite3", "sqlalchemy.dialects.sqlite"}
MIGRATIONS = {"alembic", "mako"}
MAIL = {"aiosmtplib", "email.headerregistry", "jinja2", "smtplib"}
PASSKEYS = {"fido2"}
TELEMETRY = {"opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "google.protobuf", "requests"}
WEB = {"apscheduler", "fastapi", "prometheus_client", "starlette", "uvicorn", "auth_service.main"}
# One process imports them all, so each line has only what the words before did not need.
IMPORT_WORDS = """
import sys
from auth_service.cli import main
for words in ("serve", "audit", "cleanup", "users list", "keys", "users create", "doctor", "migrate"):
    before, command = set(sys.modules), main
    for word in words.split():
        command = command.get_command(None, word)
    print(words.replace(" ", "-"), *(set(sys.modules) - before))
"""
BUILT = """
import sys
from importlib import import_module
from auth_service.api.http.lazy_route import LazyRoute
from auth_service.api.schemas.fields import Answer, Body
from auth_service.cli.workers.application import application
from auth_service.main import LATER
app = application()
models = [Answer, Body]
for kind in models:
    models += kind.__subclasses__()
routes = [route for route in app.routes if isinstance(route, LazyRoute)]
built = [kind for kind in models if kind.__pydantic_complete__] + [route for route in routes if "app" in vars(route)]
early = set(LATER) & set(sys.modules)
for name in LATER:
    import_module(name)
at_start = set(sys.modules)
apps = [route.app for route in routes]
imported = set(sys.modules) - at_start
document = app.openapi()["components"]["schemas"]
described = {kind.__name__ for kind in models} & set(document)
print(len(early), len(built), len(imported), len(routes), len(models), len(described))
"""
START = """
import gc
from auth_service.cli.workers.application import application
application()
print(gc.isenabled(), gc.get_freeze_count(), gc.get_stats()[2]["collections"])
"""


def imported(log: str) -> list[str]:
    """The modules that `-X importtime` told of, in their order."""
    return [line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")]


@asynccontextmanager
async def locked(url: str, table: str) -> AsyncIterator[None]:
    """Hold every row of a table."""
    rival = await asyncpg.connect(url)
    try:
        async with rival.transaction():
            await rival.execute(f"SELECT FROM {table} FOR UPDATE")
            yield
    finally:
        await rival.close()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


async def fifty_ask_at_once(base_url: str) -> None:
    """See that all get what they ask for, while the last modules are imported and the routes are completed."""
    expected = {
        **dict.fromkeys(("/health/ready", "/health/live", "/metrics", "/.well-known/jwks.json"), 200),
        "/auth/sessions": 401,
    }
    async with Client(base_url=base_url, headers={"X-Internal-Token": INTERNAL}, timeout=60) as client:
        answers = await asyncio.gather(*(client.get(path) for path in [*expected] * 10))
    assert {(answer.url.path, answer.status_code) for answer in answers} == set(expected.items())


async def test_a_server_on_postgresql_starts_with_all_that_requests_need_and_without_what_none_needs(
    postgres_url: str, tmp_path: Path
) -> None:
    env = environment(postgres_url, PYTHONPROFILEIMPORTTIME="1", AUTH_INTERNAL_TOKEN=INTERNAL)
    with Server(env, tmp_path) as server:
        wait_until(lambda: is_open(server.port), 60, server.log)
        await fifty_ask_at_once(server.base_url)
        wait_until(lambda: "apscheduler.executors" in imported(server.log()), 60, server.log)
        at_start = imported(server.log())
        async with Client(base_url=server.base_url, headers={"X-Internal-Token": INTERNAL}, timeout=60) as client:
            (await client.register("ada@example.com")).raise_for_status()
            tokens = await client.sign_in("ada@example.com")
            (await client.refresh(tokens["refresh_token"])).raise_for_status()
            changed = await client.change_password(
                tokens["access_token"], PASSWORD, "seven more words, each of them longer"
            )
            changed.raise_for_status()
            for path in ("/metrics", "/.well-known/jwks.json", "/internal/revocations", "/auth/me"):
                await client.get(path)
            assert (await client.register("ada@example.com")).status_code == 409
            tokens = await client.sign_in("ada@example.com", "seven more words, each of them longer")
            async with locked(postgres_url, "refresh_tokens"):
                assert (await client.refresh(tokens["refresh_token"])).status_code == 503
        later = imported(server.log())[len(at_start) :]
    assert {"asyncpg", "fastapi", "jose", "sqlalchemy"} <= set(at_start)
    assert (
        set(at_start) & (OTHER_DATABASES | MAIL | MIGRATIONS | TELEMETRY | PASSKEYS | {"auth_service.cli.common"})
        == set()
    )
    assert [module for module in later if not module.startswith("apscheduler")] == []  # which no request waits for


def test_each_command_imports_what_its_job_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT_WORDS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    found = {word: set(modules) for word, *modules in map(str.split, done.stdout.splitlines())}
    assert found["serve"] & {"fastapi", "sqlalchemy", "jose", *MAIL} == set()  # each of its processes has them
    web = WEB - {"uvicorn"}  # which `serve` did import
    assert set().union(*found.values()) & (web | MAIL | OTHER_DATABASES) == set()
    assert {word for word, modules in found.items() if modules & MIGRATIONS} == {"migrate"}
    assert {word for word, modules in found.items() if "email_validator" in modules} == set()
    assert {word for word, modules in found.items() if modules & {"jose", "passlib"}} == {"users-create"}
    assert "cryptography" in found["keys"]  # so none before it has imported that


def test_routes_and_what_reads_bodies_and_writes_answers_are_built_for_the_first_request_of_each(
    tmp_path: Path,
) -> None:
    command, env = [sys.executable, "-c", BUILT], environment("sqlite+aiosqlite://", AUTH_DOCS__ENABLED="false")
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True)
    early, built, late, routes, models, described = map(int, done.stdout.decode().split()[-6:])
    assert early == 0  # of what the first answers do without
    assert built == 0
    assert late == 0  # imports, which would be in a request
    assert routes > 50
    assert 50 < described < models  # `Answer` and `Body` themselves are none


def test_the_garbage_collector_never_goes_through_what_a_start_imports(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment("sqlite+aiosqlite://"), capture_output=True, check=True
    )
    is_on, out_of_its_sight, full_collections = done.stdout.decode().split()[-3:]
    assert (is_on, full_collections) == ("True", "0")
    assert int(out_of_its_sight) > 100_000


def test_a_server_whose_hashes_do_not_fit_into_its_memory_does_not_start(tmp_path: Path) -> None:
    env = environment("sqlite+aiosqlite://", AUTH_PASSWORD__ARGON2_MEMORY_KIB=str(4 * 2**20), PATH=os.environ["PATH"])
    limited = "ulimit -v 2500000 && exec " + shlex.join([*Server.program, "serve", "--port", str(free_port())])
    done = subprocess.run(
        ["sh", "-c", limited], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "HashingError" in done.stdout + done.stderr
    assert "service.started" not in done.stdout


@pytest.mark.parametrize(
    ("url", "public_url", "expected"),
    [
        ("postgresql://auth:not-to-be-told@db.invalid/auth", "http://auth.example.com", ["TLS", "HTTPS"]),
        ("postgresql://auth:not-to-be-told@db.invalid/auth?sslmode=verify-full", "https://auth.example.com", []),
        ("sqlite+aiosqlite://", "http://auth.example.com", ["HTTPS"]),
        ("sqlite+aiosqlite://", "http://127.0.0.1:8000", []),
    ],
)
def test_a_start_on_which_passwords_travel_unencrypted_warns_and_serves(
    url: str, public_url: str, expected: list[str], tmp_path: Path
) -> None:
    env = {**environment("sqlite+aiosqlite://"), "DATABASE_URL": url, "AUTH_PUBLIC_URL": public_url}
    with Server({**env, "AUTH_INTERNAL_TOKEN": INTERNAL, "DB_CONNECT_TIMEOUT": "0.5"}, tmp_path) as server:
        server.wait_live()
        warned = events(server.log(), "service.unencrypted")
        assert [line["what"] for line in warned] == expected
        assert {line["level"] for line in warned} <= {"warning"}
        assert "not-to-be-told" not in server.log()
