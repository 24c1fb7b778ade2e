"""Health: the process lives whatever the database does, and is ready when the database is, by itself."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.conftest import environment
from tests.support.client import Client
from tests.support.faults import DATABASE, ROLE, Fault, Scene, frozen, locked, refused, silent, slow, stopped
from tests.support.polling import eventually
from tests.support.postgres import Cluster
from tests.support.server import Server, free_port, run_command

WITHIN_A_SECOND = 1.3  # what is promised is 1, and the machine may be busy
PATHS = ("/health/ready", "/health/db")
AWAY: dict[str, Fault] = {"stopped": stopped, "frozen": frozen, "silent": silent, "slow": slow, "refused": refused}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("health")
    with Scene.set_up(environment, folder, DB_POOL_SIZE="1", DB_MAX_OVERFLOW="0") as scene:
        yield scene


@pytest.fixture(autouse=True)
async def _ready(scene: Scene) -> None:
    await asyncio.to_thread(scene.server.wait_ready)


def client_of(server: Server) -> Client:
    return Client(base_url=server.base_url, trust_env=False, timeout=20)


async def assert_health(client: Client, status: int, code: str | None = None) -> None:
    """Live says 200, and the others say this, each within a second."""
    for path, expected in (("/health/live", 200), *((path, status) for path in PATHS)):
        started = time.monotonic()
        answer = await client.get(path)
        assert time.monotonic() - started < WITHIN_A_SECOND, path
        assert answer.status_code == expected, path
        if expected == 503:
            assert answer.json()["code"] == code
            assert int(answer.headers["retry-after"]) >= 1


async def is_ready(client: Client) -> bool:
    return {(await client.get(path)).status_code for path in PATHS} == {200}


@pytest.mark.parametrize("fault", AWAY.values(), ids=AWAY)
async def test_without_a_database_the_process_lives_and_is_not_ready_until_it_is_back(
    scene: Scene, fault: Fault
) -> None:
    async with client_of(scene.server) as client:
        await eventually(is_ready, client)
        async with fault(scene):
            await assert_health(client, 503, "database-unavailable")
        await eventually(is_ready, client, seconds=5)


async def test_many_that_ask_a_frozen_database_at_once_are_all_answered_within_a_second(scene: Scene) -> None:
    async with client_of(scene.server) as client, frozen(scene):
        started = time.monotonic()
        answers = await asyncio.gather(*(client.get("/health/ready") for _ in range(50)))
        assert time.monotonic() - started < WITHIN_A_SECOND + 0.5  # the test's own 50 connections take time too
        assert {answer.status_code for answer in answers} == {503}


@pytest.mark.parametrize(
    ("during", "after"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "UPDATE alembic_version SET version_num = '{head}'"),
        ("DELETE FROM alembic_version", "INSERT INTO alembic_version VALUES ('{head}')"),
        ("ALTER TABLE alembic_version RENAME TO hidden", "ALTER TABLE hidden RENAME TO alembic_version"),
    ],
    ids=["an older version", "no version", "no table"],
)
async def test_a_schema_that_is_not_at_head_is_the_reason_for_not_being_ready(
    scene: Scene, during: str, after: str
) -> None:
    head = await scene.sql("SELECT version_num FROM alembic_version")
    async with client_of(scene.server) as client:
        await scene.sql(during)
        await assert_health(client, 503, "schema-not-ready")
        assert "auth-service migrate" in (await client.get("/health/ready")).json()["detail"]
        await scene.sql(after.format(head=head))
        await assert_health(client, 200)


async def test_a_database_that_takes_no_writes_is_the_reason_for_not_being_ready(scene: Scene) -> None:
    """As a standby that DATABASE_URL leads to."""
    async with client_of(scene.server) as client:
        await scene.sql(f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on")
        await assert_health(client, 503, "database-read-only")
        # In a session that begins like that, one has to say otherwise.
        writable = "SET default_transaction_read_only = off"
        await scene.sql(f"{writable}; ALTER DATABASE {DATABASE} RESET default_transaction_read_only")
        await eventually(is_ready, client)


async def test_an_exhausted_pool_is_no_reason_to_be_taken_out_of_service(scene: Scene) -> None:
    answers: list[int] = []
    enough = asyncio.Event()

    async def keep_asking(client: Client) -> None:
        while not enough.is_set():
            answers.append((await client.login("nobody@example.com")).status_code)

    async with client_of(scene.server) as client:
        await eventually(is_ready, client)
        async with locked(scene):
            asking = [asyncio.create_task(keep_asking(client)) for _ in range(6)]
            for _ in range(5):
                await assert_health(client, 200)
            enough.set()
            await asyncio.gather(*asking)
    assert set(answers) == {503}


async def test_health_is_asked_on_connections_that_do_not_stay(scene: Scene) -> None:
    async with client_of(scene.server) as client:
        await eventually(is_ready, client)
        await asyncio.gather(*(client.get("/health/ready") for _ in range(20)))

        async def pool_alone() -> bool:
            found = await scene.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}'")
            return int(found) <= 2  # one of the pool, and the one that listens

        await eventually(pool_alone)


@pytest.mark.parametrize("migrates", ["false", "true"])
async def test_a_service_that_was_started_before_its_database_becomes_ready_with_it(
    tmp_path_factory: pytest.TempPathFactory, migrates: str
) -> None:
    folder = tmp_path_factory.mktemp("early")
    port = free_port()
    cluster = await asyncio.to_thread(Cluster.create, port)
    try:
        await asyncio.to_thread(cluster.start)
        env = environment(cluster.url("postgres"), AUTH_MIGRATE_ON_START=migrates)
        if migrates == "false":
            assert (await asyncio.to_thread(run_command, "migrate", env=env, cwd=folder)).returncode == 0
        await asyncio.to_thread(cluster.stop)
        with Server(env, folder) as server:
            await asyncio.to_thread(server.wait_live)
            async with client_of(server) as client:
                await assert_health(client, 503, "database-unavailable")
                assert (await client.register("ada@example.com")).status_code == 503
                assert server.returncode is None
                await asyncio.to_thread(cluster.start)
                await eventually(is_ready, client, seconds=10)
                assert (await client.register("ada@example.com")).status_code == 201
                await client.sign_in()
    finally:
        await asyncio.to_thread(cluster.destroy)


async def test_a_service_that_starts_on_a_silent_database_answers_everybody_in_time(scene: Scene) -> None:
    env = environment(f"postgresql://{ROLE}@127.0.0.1:{scene.proxy.port}/{DATABASE}")
    async with silent(scene):
        with Server(env, scene.folder) as server:
            await asyncio.to_thread(server.wait_live)
            async with client_of(server) as client:
                started = time.monotonic()
                answers = await asyncio.gather(*(client.get("/.well-known/jwks.json") for _ in range(10)))
                assert {answer.status_code for answer in answers} == {503}
                assert time.monotonic() - started < 3.5
                scene.proxy.pass_through()
                await eventually(is_ready, client, seconds=10)
                assert (await client.get("/.well-known/jwks.json")).status_code == 200
