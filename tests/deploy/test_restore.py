"""Backup and restore by the commands of docs/upgrading.md: what comes back, what is gone, what ends all sessions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import environment
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.markdown import ROOT
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command
from tests.support.shell import Shell

NEW_PASSWORD = "another horse, another battery"
GENERATIONS = (1, 3, 4)  # since the backup; up to three are caught up with


class Installation:
    """The service on the database of the page, which its commands back up and restore."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._host = f"127.0.0.1:{cluster.port}"
        self._folder = folder
        self.env = environment(f"postgresql://auth_app@{self._host}/auth", AUTH_TOKENS__REFRESH_GRACE="0")

    def follow(self, page: str, name: str) -> None:
        """Run the commands of a page."""
        files = {"auth.dump": f"{self._folder}/auth.dump"} if name in ("backup", "restore") else {}
        Shell(ROOT).follow(page, f"sh: {name}", replaced={"HOST": self._host, **files})

    def command(self, *words: str) -> str:
        done = run_command(*words, env=self.env, cwd=self._folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        with Server(self.env, self._folder) as server:
            server.wait_ready()
            with httpx.Client(base_url=server.base_url, trust_env=False, timeout=30) as http:
                yield http


@pytest.fixture
def installation(cluster: Cluster, tmp_path: Path) -> Iterator[Installation]:
    found = Installation(cluster, tmp_path)
    found.follow("docs/operating.md", "roles")
    yield found
    for name in ("auth", "auth_before"):
        cluster.drop_database(name)


def register(http: httpx.Client, name: str) -> None:
    http.post("/auth/register", json={"email": f"{name}@example.com", "password": PASSWORD}).raise_for_status()


def login(http: httpx.Client, name: str, password: str = PASSWORD) -> httpx.Response:
    return http.post("/auth/login", json={"email": f"{name}@example.com", "password": password})


def sign_in(http: httpx.Client, name: str) -> dict[str, Any]:
    tokens: dict[str, Any] = login(http, name).raise_for_status().json()
    return tokens


def refresh(http: httpx.Client, tokens: dict[str, Any]) -> httpx.Response:
    return http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def rotated(http: httpx.Client, tokens: dict[str, Any], times: int) -> dict[str, Any]:
    for _ in range(times):
        tokens = refresh(http, tokens).raise_for_status().json()
    return tokens


@runs("docs/upgrading.md", "sh: backup", "sh: restore", "sh: after")
def test_what_a_restore_brings_back_is_what_the_page_says_and_its_command_ends_every_session(
    installation: Installation,
) -> None:
    with installation.running() as http:
        for name in ("ada", "bob", "carol"):
            register(http, name)
        before = {name: sign_in(http, "ada") for name in ("ended", "spent", *map(str, GENERATIONS))}
        deleted, changed = sign_in(http, "bob"), sign_in(http, "carol")
        installation.follow("docs/upgrading.md", "backup")

        http.post("/auth/logout", json={"refresh_token": before["ended"]["refresh_token"]}).raise_for_status()
        rotated(http, before["spent"], 1)
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        http.post("/auth/me/password", json=body, headers=bearer(changed)).raise_for_status()
        http.request("DELETE", "/auth/me", json={"current_password": PASSWORD}, headers=bearer(deleted))
        register(http, "dave")
        (key,) = json.loads(installation.command("keys", "list", "--json"))
        installation.command("keys", "revoke", key["kid"])
    with installation.running() as http:  # it knows the new key
        newest = {times: rotated(http, before[str(times)], times) for times in GENERATIONS}

    installation.follow("docs/upgrading.md", "restore")
    with installation.running() as http:
        assert http.get("/auth/me", headers=bearer(newest[1])).status_code == 401  # of a key that is gone
        assert {times: refresh(http, tokens).status_code for times, tokens in newest.items()} == {
            1: 200,
            3: 200,
            4: 401,
        }
        assert refresh(http, before["4"]).status_code == 200  # the session has not ended
        alive = {
            name: refresh(http, tokens)
            for name, tokens in {"ended": before["ended"], "spent": before["spent"], "deleted": deleted}.items()
        }
        assert {name: answer.status_code for name, answer in alive.items()} == dict.fromkeys(alive, 200)
        assert [login(http, "carol", password).status_code for password in (PASSWORD, NEW_PASSWORD)] == [200, 401]
        assert [login(http, name).status_code for name in ("bob", "dave")] == [200, 401]
        assert key["kid"] in installation.command("keys", "list")

    installation.follow("docs/upgrading.md", "after")
    with installation.running() as http:
        assert {refresh(http, answer.json()).status_code for answer in alive.values()} == {401}
        assert {http.get("/auth/me", headers=bearer(answer.json())).status_code for answer in alive.values()} == {401}
        assert refresh(http, sign_in(http, "ada")).status_code == 200
    assert "sessions.all_ended" in installation.command("audit")
