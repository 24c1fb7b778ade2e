"""A server that lets nobody in is not one that does not answer: every command says which of the two it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import environment
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command

REFUSED = "refuses the connection: the role or the password in DATABASE_URL is wrong"
NO_DATABASE = "has no database of the name in DATABASE_URL"
COMMANDS = [
    ("migrate",), ("migrate", "--check"), ("grants", "--apply"), ("cleanup",), ("keys", "list"), ("audit",),
    ("users", "list"), ("users", "end-sessions", "--all", "--yes"),
]  # fmt: skip


@pytest.fixture(scope="module")
def urls(cluster: Cluster) -> Iterator[dict[str, str]]:
    """URLs that a server refuses, for what it says with each SQLSTATE; the password is nowhere to be told."""
    name = f"refused_{uuid4().hex}"
    rules = cluster._folder / "data/pg_hba.conf"
    before = rules.read_text()
    cluster.create_database(name)
    cluster.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'right'; REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    rules.write_text(f"host all {name} all scram-sha-256\n{before}")
    cluster.execute("SELECT pg_reload_conf()")
    at = f"127.0.0.1:{cluster.port}"
    yield {
        "28P01": f"postgresql://{name}:not-to-be-told@{at}/{name}",
        "28000": f"postgresql://no_such_role:not-to-be-told@{at}/{name}",
        "42501": f"postgresql://{name}:right@{at}/{name}",
        "3D000": f"postgresql://postgres:not-to-be-told@{at}/no_such_database",
    }
    rules.write_text(before)
    cluster.execute("SELECT pg_reload_conf()")
    cluster.drop_database(name)
    cluster.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("sqlstate", ["28P01", "28000", "42501", "3D000"])
def test_a_command_that_is_not_let_in_says_so_in_one_line(urls: dict[str, str], sqlstate: str, tmp_path: Path) -> None:
    for words in COMMANDS if sqlstate == "28P01" else COMMANDS[:1]:
        done = run_command(*words, env=environment(urls[sqlstate]), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, ""), words
        *named, line = done.stderr.splitlines()
        assert len(named) == (words[0] == "migrate"), "it says which database it is"
        assert (NO_DATABASE if sqlstate == "3D000" else REFUSED) in line, words
        assert sqlstate in line
        assert "not-to-be-told" not in done.stderr


def test_the_doctor_and_a_server_that_are_not_let_in_say_so_too(urls: dict[str, str], tmp_path: Path) -> None:
    env = environment(urls["28P01"])
    done = run_command("doctor", "--json", "--target", "10", env=env, cwd=tmp_path)
    (check,) = [one for one in json.loads(done.stdout)["checks"] if one["name"] == "database"]
    assert not check["ok"]
    assert REFUSED in check["detail"]
    with Server(env, tmp_path) as server:
        server.wait_live()
        answer = httpx.get(f"{server.base_url}/health/ready", trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")
        told = [json.loads(line) for line in server.log().splitlines() if '"service.not_ready"' in line]
    assert REFUSED in answer.json()["detail"]
    assert REFUSED in told[0]["detail"]
    assert "not-to-be-told" not in done.stdout + done.stderr + server.log() + answer.text
