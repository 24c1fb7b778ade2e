"""A server that lets nobody in is not one that does not answer: who asks is told why, what to do, and whether to wait.

Each is a real server of its kind. The exit code is 75 where waiting may help, 2 for a setting of ours, and 1 otherwise.
"""

import asyncio
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from auth_service.main import create_app
from tests.conftest import environment, make_settings
from tests.support.client import PASSWORD
from tests.support.operator import Operator
from tests.support.postgres import Cluster
from tests.support.server import Server, free_port, run_command
from tests.support.sql import run_sql

WRONG_PASSWORD = "refuses the connection: the role or the password in DATABASE_URL is wrong"
COMMANDS = [
    ("migrate",), ("migrate", "--check"), ("grants", "--apply"), ("cleanup",), ("keys", "list"), ("audit",),
    ("users", "list"), ("users", "end-sessions", "--all", "--yes"),
]  # fmt: skip
# What is wrong, the exit code, what the line says of the cause and the remedy, and what it says in brackets.
CASES: list[tuple[str, int, str, str]] = [
    ("wrong password", 1, WRONG_PASSWORD, "28P01"),
    ("no such role", 1, "does not exist or may not log in, or pg_hba.conf does not let it connect", "28000"),
    ("a role that may not log in", 1, "does not exist or may not log in", "28000"),
    ("refused by pg_hba.conf", 1, "pg_hba.conf does not let it connect from here, or only with TLS (sslm", "28000"),
    ("no right to connect", 1, "may not connect to this database (GRANT CONNECT ON DATABASE ... TO ...).", "42501"),
    ("a parameter that the role may not set", 1, "TO ...), or not set a parameter of 'options'.", "42501"),
    ("no such database", 1, "has no database of the name in DATABASE_URL: correct the name, or create it", "3D000"),
    ("a database that is closed", 1, "takes no connections: ALTER DATABASE ... ALLOW_CONNECTIONS true", "55000"),
    ("latin1", 1, "The encoding of the database is LATIN1, so it cannot keep every name: create one with ENC", ""),
    ("SQL_ASCII", 1, "The encoding of the database is SQL_ASCII", ""),
    ("an unknown parameter", 2, "refuses a parameter of 'options' in DATABASE_URL", "42704"),
    ("a parameter's wrong value", 2, "refuses a parameter of 'options' in DATABASE_URL", "22023"),
    ("no TLS there", 1, "is not PostgreSQL, or has no TLS, which sslmode asks for: correct them", "Connect"),
    ("another server", 1, "What answers at the host and port of DATABASE_URL is not PostgreSQL", "ConnectionError"),
    ("a sign-in that we do not know", 1, "asks for a kind of sign-in that the service does not know", "InterfaceErr"),
    ("too many connections", 75, "has no connection left for this role: lower DB_POOL_SIZE", "53300"),
    ("a server that stops", 75, "is starting, stopping or recovering; try again", "57P03"),
    ("no primary", 75, "there is no primary until a standby is promoted", "TargetServerAttrib"),
    ("no standby", 2, "asks for a standby or a server that takes no writes, and there is none", "TargetServerAttrib"),
    ("read-only alone", 2, "the service writes, so let it be read-write, or take it out", "TargetServerAttrib"),
    ("no standby that answers", 75, "Nothing listens at the host and port of DATABASE_URL", "ConnectionRefusedError"),
    ("nothing at the port", 75, "Nothing listens at the host and port of DATABASE_URL", "ConnectionRefusedError"),
    ("no such host", 75, "The host in DATABASE_URL has no address", "gaierror"),
    ("no such socket", 75, "There is no socket of a database server where DATABASE_URL says", "FileNotFoundError"),
    ("a server that speaks first", 75, "No PostgreSQL answers at the host and port of DATABASE_URL", ""),
    ("a host that is none", 75, "This machine has no way to the host and port of DATABASE_URL", ""),
    ("a server that hangs up", 75, "hangs up: the database server or a pooler restarts or has no room", ""),
    ("the second of two is right for nobody", 1, WRONG_PASSWORD, "28P01"),
]  # fmt: skip


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port at which somebody else answers each connection, and hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client:
                answer(client)

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listening.getsockname()[1])
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def as_a_web_server(client: socket.socket) -> None:
    client.recv(1024)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def asking_for_kerberos(client: socket.socket) -> None:
    """AuthenticationKerberosV5, which PostgreSQL itself no longer asks for (manual, 54.7)."""
    client.recv(1024)
    client.sendall(b"R\0\0\0\x08\0\0\0\x02")
    client.recv(1024)


def greeting(client: socket.socket) -> None:
    """As SSH and MySQL do, before they are told anything."""
    client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    while client.recv(64):
        pass


def hanging_up(client: socket.socket) -> None:
    client.recv(8)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[dict[str, str]]:
    """URLs that lead to something else than PostgreSQL."""
    with (
        answering(as_a_web_server) as web,
        answering(asking_for_kerberos) as kerberos,
        answering(hanging_up) as nobody,
        answering(greeting) as shell,
    ):
        yield {
            "another server": f"postgresql://auth:not-to-be-told@127.0.0.1:{web}/auth",
            "a sign-in that we do not know": f"postgresql://auth@127.0.0.1:{kerberos}/auth?sslmode=disable",
            "a server that hangs up": f"postgresql://auth@127.0.0.1:{nobody}/auth?sslmode=disable",
            "a server that speaks first": f"postgresql://auth@127.0.0.1:{shell}/auth?sslmode=disable",
            "a host that is none": "postgresql://auth:not-to-be-told@255.255.255.255/auth",
            "nothing at the port": f"postgresql://auth:not-to-be-told@127.0.0.1:{free_port()}/auth",
            "no such host": "postgresql://auth:not-to-be-told@host.invalid/auth",
            "no such socket": "postgresql://auth:not-to-be-told@/auth?host=/nowhere",
        }


@pytest.fixture(scope="module")
def stopping() -> Iterator[str]:
    """The URL of a server that was told to stop once nobody is connected any more, while somebody is."""
    with Cluster.create() as own:
        with socket.create_connection(("127.0.0.1", own.port)) as client:
            parameters = b"user\0postgres\0database\0postgres\0\0"
            client.sendall((8 + len(parameters)).to_bytes(4, "big") + (196608).to_bytes(4, "big") + parameters)
            client.recv(4096)
            own._process().send_signal(signal.SIGTERM)
            yield own.url("postgres")
        own._process().wait(10)


@pytest.fixture(scope="module")
def urls(cluster: Cluster, elsewhere: dict[str, str], stopping: str) -> Iterator[dict[str, str]]:
    """URLs with which nobody gets in, by what is wrong with them; the password is nowhere to be told."""
    name = f"refused_{uuid4().hex}"
    rules = cluster._folder / "data/pg_hba.conf"
    before = rules.read_text()
    cluster.create_database(name)
    others = {"latin1": "ENCODING 'LATIN1'", "ascii": "ENCODING 'SQL_ASCII'", "closed": "ALLOW_CONNECTIONS false"}
    others["standing"] = ""
    for kind, option in others.items():
        cluster.execute(f"CREATE DATABASE {name}_{kind} {option} TEMPLATE template0 LOCALE 'C'")
    cluster.execute(f"ALTER DATABASE {name}_standing SET default_transaction_read_only = on")
    cluster.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'right'; REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    cluster.execute(f"CREATE ROLE {name}_out; CREATE ROLE {name}_full LOGIN CONNECTION LIMIT 0")
    cluster.execute(f"CREATE ROLE {name}_barred LOGIN")
    rules.write_text(f"host all {name} all scram-sha-256\nhost all {name}_barred all reject\n{before}")
    cluster.execute("SELECT pg_reload_conf()")
    at = f"127.0.0.1:{cluster.port}"
    ours = f"postgresql://postgres:not-to-be-told@{at}"
    yield elsewhere | {
        "wrong password": f"postgresql://{name}:not-to-be-told@{at}/{name}",
        "no such role": f"postgresql://no_such_role:not-to-be-told@{at}/{name}",
        "a role that may not log in": f"postgresql://{name}_out:not-to-be-told@{at}/{name}",
        "refused by pg_hba.conf": f"postgresql://{name}_barred:not-to-be-told@{at}/{name}",
        "no right to connect": f"postgresql://{name}:right@{at}/{name}",
        "a parameter that the role may not set": f"postgresql://{name}:right@{at}/postgres?options=-csession_replication_role%3Dreplica",
        "no such database": f"{ours}/no_such_database",
        "a database that is closed": f"{ours}/{name}_closed",
        "latin1": f"{ours}/{name}_latin1",
        "SQL_ASCII": f"{ours}/{name}_ascii",
        "an unknown parameter": f"{ours}/{name}?options=-cno_such=1",
        "a parameter's wrong value": f"{ours}/{name}?options=-cwork_mem%3Dmuch",
        "no TLS there": f"{ours}/{name}?sslmode=require",
        "too many connections": f"postgresql://{name}_full:not-to-be-told@{at}/postgres",
        "a server that stops": stopping,
        "no primary": f"{ours}/{name}_standing?target_session_attrs=read-write",
        "no standby": f"{ours}/{name}?target_session_attrs=standby",
        "read-only alone": f"{ours}/{name}?target_session_attrs=read-only",
        "no standby that answers": f"{ours},127.0.0.1:1/{name}?target_session_attrs=standby",
        "the second of two is right for nobody": f"postgresql://{name}:not-to-be-told@{at},127.0.0.1:1/{name}",
    }
    rules.write_text(before)
    cluster.execute("SELECT pg_reload_conf()")
    cluster.execute(f"ALTER DATABASE {name}_closed ALLOW_CONNECTIONS true")
    for kind in ("", *(f"_{kind}" for kind in others)):
        cluster.drop_database(name + kind)
    cluster.execute(f"DROP ROLE {name}, {name}_out, {name}_full, {name}_barred")


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
async def test_who_is_not_let_in_is_told_why_what_to_do_and_whether_to_wait(
    urls: dict[str, str], case: tuple[str, int, str, str], tmp_path: Path
) -> None:
    name, code, words, cause = case
    operator = Operator(urls[name], tmp_path)
    done = await asyncio.to_thread(operator.run, "users", "list", code=code)
    (line,) = done.stderr.splitlines()
    assert words in line
    assert cause in line
    assert "not-to-be-told" not in done.output
    found = await asyncio.to_thread(operator.run, "doctor", "--json", "--target", "10", code=1)
    (check,) = [one for one in json.loads(found.stdout)["checks"] if one["name"] == "database"]
    assert words in check["detail"]
    app = create_app(make_settings(urls[name]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://auth.example") as client:
        answer = await client.get("/health/ready")
        public = await client.post("/auth/register", json={"email": "ada@example.com", "password": PASSWORD})
    assert (public.status_code, public.json()["detail"]) == (503, "The service does not answer just now; try again.")
    assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")
    assert words in answer.json()["detail"]
    assert answer.headers["retry-after"] == ("1" if code == 75 else "5")
    assert "not-to-be-told" not in answer.text + found.output


def test_every_command_that_is_not_let_in_says_so_in_one_line(urls: dict[str, str], tmp_path: Path) -> None:
    for words in COMMANDS:
        done = run_command(*words, env=environment(urls["wrong password"]), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, ""), words
        *named, line = done.stderr.splitlines()
        assert len(named) == (words[0] == "migrate"), "it says which database it is"
        assert WRONG_PASSWORD in line, words
        assert "not-to-be-told" not in done.stderr


def test_every_command_that_has_to_wait_says_so_by_its_exit_code(urls: dict[str, str], tmp_path: Path) -> None:
    for words in COMMANDS:
        assert run_command(*words, env=environment(urls["nothing at the port"]), cwd=tmp_path).returncode == 75, words


def test_a_server_that_is_not_let_in_says_so_in_its_log(urls: dict[str, str], tmp_path: Path) -> None:
    replica = {"DATABASE_READ_REPLICA_URL": urls["no such role"] + "?connect_timeout=1"}
    with Server(environment(urls["wrong password"], **replica), tmp_path) as server:
        server.wait_live()
        events = [json.loads(line) for line in server.log().splitlines()]
    (told, *_) = [event for event in events if event["event"] == "service.not_ready"]
    assert WRONG_PASSWORD in told["detail"]
    (ignored,) = [event for event in events if event["event"] == "database.options_ignored"]
    assert (ignored["setting"], ignored["options"]) == ("DATABASE_READ_REPLICA_URL", ["connect_timeout"])
    assert "not-to-be-told" not in server.log()


async def test_a_server_that_takes_no_writes_says_so_to_a_command(postgres_url: str, tmp_path: Path) -> None:
    name = postgres_url.rpartition("/")[2]
    await run_sql(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    operator = Operator(postgres_url, tmp_path)
    words = ("users", "create", "ada@example.com", "--no-password")
    done = await asyncio.to_thread(operator.run, *words, code=1)
    assert "The database accepts no writes: DATABASE_URL leads to a standby" in done.stderr
    assert "25006" in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "sslmode=not-to-be-told",
            "DATABASE_URL, or libpq's variables or service file, hold what the driver cannot use",
        ),
        ("port=not-to-be-told", "hold what the driver cannot use"),
        ("not-to-be-told", "DATABASE_URL: service must be one that the service file has"),
    ],
)
def test_a_service_file_that_cannot_be_used_is_a_wrong_setting(line: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "services").write_text(f"[auth]\nhost=127.0.0.1\nuser=auth\n{line}\n")
    operator = Operator("postgresql:///auth?service=auth", tmp_path, PGSERVICEFILE=str(tmp_path / "services"))
    (told,) = operator.run("users", "list", code=2).stderr.splitlines()
    assert words in told
    assert "not-to-be-told" not in told


async def test_what_is_wrong_with_a_read_replica_is_told_by_the_doctor(
    urls: dict[str, str], postgres_url: str, tmp_path: Path
) -> None:
    operator = Operator(postgres_url, tmp_path, DATABASE_READ_REPLICA_URL=urls["no such database"])
    found = await asyncio.to_thread(operator.run, "doctor", "--json", "--target", "10", code=1)
    (check,) = [one for one in json.loads(found.stdout)["checks"] if one["name"] == "read replica"]
    assert "no database of the name in DATABASE_READ_REPLICA_URL: correct the name" in check["detail"]
