"""An upgrade is no outage, and neither is the way back: two versions in turn behind a real HAProxy, under traffic."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import MakeClient, environment
from tests.support import roles
from tests.support.authenticator import Authenticator
from tests.support.client import Client, bearer
from tests.support.echo_upstream import EchoUpstream
from tests.support.gateway_places import INTERNAL_TOKEN
from tests.support.gateways import Gateway, Kind
from tests.support.passkeys import ORIGIN, REQUIRED, RP_ID, Passkey, login_options
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.replicas import Replicas, behind_haproxy, sends_requests_to
from tests.support.server import Server, run_command
from tests.support.sql import run_sql
from tests.support.traffic import Traffic
from tests.support.versions import Version, around_the_newest_migration, before_migration

VISITOR = "visitor@example.com"


class Rehearsal:
    """Two replicas, and the jobs of the owner of the tables. Each may be of the older or the newer version."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self._folder = url, folder
        self.older, self.newer = around_the_newest_migration(folder)
        self.migrate(self.newer, "--to", self.older.head, "--yes")
        older = self._environment(self.older)
        self.replicas = Replicas(folder, [older, older], workers=[1, 1])

    def _environment(self, version: Version) -> dict[str, str]:
        """Each replica would migrate if it could, which must not keep it from starting."""
        patience = {"DB_STATEMENT_TIMEOUT": "20", "DB_POOL_TIMEOUT": "2"}  # a busy machine is not what this is about
        more = {"AUTH_SHUTDOWN__DRAIN": "2", "AUTH_MIGRATE_ON_START": "true", "AUTH_THROTTLE__ENABLED": "false"}
        more |= {"AUTH_TOKENS__REFRESH_GRACE": "0"}  # every refresh rotates
        return environment(self.url, AUTH_INTERNAL_TOKEN=INTERNAL_TOKEN, **more, **patience, **version.environment)

    def roll(self, number: int, version: Version) -> None:
        self.replicas.end(number)
        self.replicas.start(number, self._environment(version))

    def migrate(self, version: Version, *words: str, code: int = 0) -> str:
        env = {"DATABASE_URL": roles.as_role(self.url, "owner"), **version.environment}
        done = run_command("migrate", *words, env=env, cwd=self._folder)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def rehearsal(postgres_url: str, tmp_path: Path) -> Iterator[Rehearsal]:
    found = Rehearsal(postgres_url, tmp_path)
    yield found
    found.replicas.close()


@pytest.fixture
def gateway(rehearsal: Rehearsal, haproxy: Kind, tmp_path: Path) -> Iterator[Gateway]:
    with EchoUpstream() as app, behind_haproxy(rehearsal.replicas.ports, tmp_path / haproxy.name, app.port) as running:
        yield running


async def login(door: Client, *, tokens: dict[str, Any]) -> httpx.Response:  # a new session each time
    return await door.login(VISITOR)


async def verify(door: Client, *, tokens: dict[str, Any]) -> httpx.Response:
    """Ask for the application behind the gateway, which asks the service before."""
    return await door.get("/app/", headers={"Authorization": f"Bearer {tokens['access_token']}"})


async def test_an_upgrade_under_traffic_loses_no_request_and_neither_does_the_way_back(
    rehearsal: Rehearsal, gateway: Gateway
) -> None:
    older, newer = rehearsal.older, rehearsal.newer
    async with Client(base_url=gateway.base_url, trust_env=False) as client:
        (await client.register(VISITOR)).raise_for_status()

    async with Traffic([gateway.base_url], also={"login": login, "verify": verify}) as traffic:

        async def job(version: Version, *words: str, code: int = 0) -> str:
            done = await asyncio.to_thread(rehearsal.migrate, version, *words, code=code)
            await traffic.goes_on()
            return done

        async def roll_to(version: Version) -> None:
            for number in range(2):
                await asyncio.to_thread(rehearsal.roll, number, version)
                await eventually(sends_requests_to, gateway, rehearsal.replicas.ports[number])

        await traffic.goes_on()
        assert newer.head in await job(newer, *roles.grant_words(rehearsal.url))
        assert "newer than this version, and compatible" in await job(older)
        await roll_to(newer)

        await roll_to(older)
        plan = json.loads(await job(newer, "--to", older.head, "--check", "--json", code=3))
        if not plan["loses"]:
            assert newer.head in await job(newer, "--to", older.head, "--yes")
    assert {name for name, _ in traffic.answers} == {"login", "refresh", "me", "verify"}
    assert (traffic.statuses, traffic.lost) == ({200}, 0), f"{traffic.answers}\n{gateway.troubles()}"


async def test_a_replica_from_before_second_factors_serves_on_and_signs_nobody_in_without_one(
    postgres_url: str, tmp_path: Path
) -> None:
    older = before_migration("0011", tmp_path)
    if older is None:
        pytest.skip("there is no history here to take the version before from")
    sessions = "SELECT count(*) FROM refresh_tokens"
    with Server(environment(postgres_url), tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False) as client:
            for email in (VISITOR, "other@example.com"):
                (await client.register(email)).raise_for_status()
            app = await Authenticator.add(client, await client.sign_in(VISITOR))
    with Server(environment(postgres_url, **older.environment), tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False) as client:
            before = await run_sql(postgres_url, sessions)
            assert (await client.second_factor("chl_", "000000")).status_code == 404, "it is the version before"
            assert (await client.login(VISITOR)).status_code == 503
            assert await run_sql(postgres_url, sessions) == before
            assert (await client.refresh(app.tokens["refresh_token"])).status_code == 200
            assert (await client.login("other@example.com")).status_code == 200


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_replica_from_before_passkeys_takes_a_code_instead_and_signs_nobody_in_without_a_password(
    database_url: str, tmp_path: Path, make_client: MakeClient
) -> None:
    older = before_migration("0014", tmp_path)
    if older is None:
        pytest.skip("there is no history here to take the version before from")
    newer = environment(database_url, AUTH_PASSKEYS__RP_ID=RP_ID, AUTH_PASSKEYS__ORIGINS=ORIGIN)
    with Server(newer, tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False) as client:
            for email in (VISITOR, "bare@example.com"):
                (await client.register(email)).raise_for_status()
            visitor = await Passkey.add(client, await client.sign_in(VISITOR))
            bare = await Passkey.add(client, await client.sign_in("bare@example.com"))
            spare = await Passkey.add(client, bare.tokens)
            (await client.delete("/auth/me/password", headers=bearer(bare.tokens["access_token"]))).raise_for_status()
    with Server(environment(database_url, **older.environment), tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False) as client:
            assert (await login_options(client)).status_code == 404, "it is the version before"
            asks = await client.login(VISITOR)
            assert_problem(asks, 403, "second-factor-required")
            assert asks.json()["methods"] == ["recovery_code"]
            answer = await client.second_factor(asks.json()["challenge"], visitor.recovery_codes[0])
            opened = answer.raise_for_status().json()  # it knows of no role that must have a passkey
            assert_problem(await client.login("bare@example.com"), 401, "invalid-credentials")
            tokens = (await client.refresh(bare.tokens["refresh_token"])).raise_for_status().json()
            for passkey in (bare, spare):
                answer = await client.delete(f"/auth/me/factors/{passkey.id}", headers=bearer(tokens["access_token"]))
                assert answer.status_code == 204, "it counts no passkeys, so that nothing opens this account any more"
    strict = await make_client(database_url, **REQUIRED)
    assert_problem(await strict.me(opened["access_token"]), 401, "invalid-access-token")
    assert_problem(await strict.refresh(opened["refresh_token"]), 401, "invalid-refresh-token")
