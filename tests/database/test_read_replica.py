"""A read replica that lags five seconds: lists may be old, and whoever signs in meets the truth."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeClient, environment
from tests.support import roles
from tests.support.client import Client
from tests.support.markdown import ROOT
from tests.support.polling import eventually
from tests.support.postgres import Cluster
from tests.support.server import wait_until
from tests.support.sql import run_sql
from tests.support.tcp_proxy import TcpProxy

DATABASE = "auth"
LATE = 5.0
TOKEN = "internal-token-of-the-tests"


@dataclass(frozen=True)
class Scene:
    primary: Cluster
    proxy: TcpProxy

    @property
    def url(self) -> str:
        return self.primary.url(DATABASE)

    @property
    def replica_url(self) -> str:
        return f"postgresql://auth_app@127.0.0.1:{self.proxy.port}/{DATABASE}"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        primary = stack.enter_context(Cluster.create())
        roles.prepare(primary, DATABASE, environment, tmp_path)
        standby = stack.enter_context(primary.standby())
        # A server that has replayed nothing since its start cannot say how far it is behind.
        primary.execute("CREATE TABLE seen (id int)")
        wait_until(lambda: standby.execute("SELECT to_regclass('seen') IS NOT NULL") == "t", 20, standby.log)
        standby.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{LATE}s'; SELECT pg_reload_conf()")
        yield Scene(primary, stack.enter_context(TcpProxy(standby.port)))


@pytest.fixture
def database_url(scene: Scene) -> str:
    return scene.url


@pytest.fixture
async def client(make_client: MakeClient, scene: Scene) -> Client:
    return await make_client(database={"DATABASE_READ_REPLICA_URL": scene.replica_url}, internal_token=TOKEN)


class Admin:
    """Somebody who may read the directory."""

    def __init__(self, client: Client, headers: dict[str, str]) -> None:
        self._client, self._headers = client, headers

    @classmethod
    async def sign_in(cls, client: Client, url: str) -> "Admin":
        (await client.register("root@example.com")).raise_for_status()
        await run_sql(url, "UPDATE users SET role = 'admin'")
        tokens = await client.sign_in("root@example.com")
        return cls(client, {"Authorization": f"Bearer {tokens['access_token']}"})

    async def get(self, path: str = "") -> Any:
        return (await self._client.get(f"/admin/users{path}", headers=self._headers)).raise_for_status().json()

    async def emails(self) -> set[str]:
        return {item["email"] for item in (await self.get())["items"]}


async def test_whoever_signs_in_meets_the_truth_while_lists_are_old_and_outlive_the_replica(
    client: Client, scene: Scene
) -> None:
    admin = await Admin.sign_in(client, scene.url)
    assert await admin.emails() == set(), "the replica does not even know the administrator"
    ada = (await client.register("ada@example.com")).raise_for_status().json()
    await see_the_truth(client)
    assert (await admin.get(f"/{ada['id']}"))["email"] == "ada@example.com", "a single user comes from the primary"
    await eventually(knows, admin, {"ada@example.com", "root@example.com"}, seconds=30)
    assert await metrics(client) == {"up": 1, "fallbacks_total": 0}

    (await client.register("grace@example.com")).raise_for_status()
    assert "grace@example.com" not in await admin.emails()
    scene.proxy.silence()
    assert "grace@example.com" in await admin.emails()
    assert (await admin.get("/counts"))["total"] is not None
    after = await metrics(client)
    assert after["up"] == 0
    assert after["fallbacks_total"] >= 6, "a list and five counts"


async def see_the_truth(client: Client) -> None:
    """Sign in, look, refresh and sign out: each step sees the one before it."""
    tokens = await client.sign_in("ada@example.com")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await client.me(tokens["access_token"])).json()["last_login_at"] is not None
    items = (await client.get("/auth/sessions", headers=headers)).json()["items"]
    assert [session["id"] for session in items] == [tokens["session_id"]]
    tokens = await client.rotate(tokens["refresh_token"])
    assert (await client.logout(tokens["refresh_token"])).status_code == 204
    assert (await client.refresh(tokens["refresh_token"])).status_code == 401
    assert (await client.me(tokens["access_token"])).status_code == 401


async def knows(admin: Admin, emails: set[str]) -> bool:
    return await admin.emails() == emails


async def metrics(client: Client) -> dict[str, float]:
    """What `/metrics` says of the replica, but for its lag."""
    text = (await client.get("/metrics", headers={"X-Internal-Token": TOKEN})).raise_for_status().text
    found = re.findall(r"^auth_database_replica_(up|fallbacks_total) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_only_the_directory_of_administrators_reads_the_replica() -> None:
    """Whatever decides who gets in must read what is true now."""
    package = ROOT / "auth_service"
    readers = {
        file.relative_to(package).as_posix() for file in package.rglob("*.py") if ".reading(" in file.read_text()
    }
    assert readers == {"services/administration/directory.py"}
