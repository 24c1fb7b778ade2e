"""What the roles of `deploy/sql/` may not do: who speaks SQL through the service gets no further than the service."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from auth_service.database.errors import NoUsableSchema
from auth_service.repositories.database import Database
from auth_service.settings import DatabaseSettings
from tests.conftest import environment
from tests.support import roles
from tests.support.client import Client
from tests.support.operator import Operator
from tests.support.postgres import Cluster
from tests.support.processes import events
from tests.support.server import Server, run_command
from tests.support.sessions import add_expired_sessions
from tests.support.sql import run_sql

LONG_AGO = "now() - interval '2 days'"
DENIED_TO_EVERY_ROLE = [
    "CREATE TABLE mine ()", "CREATE SCHEMA mine", "CREATE TEMP TABLE users ()", "CREATE LANGUAGE mine HANDLER mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE ROLE mine", "CREATE DATABASE mine",
    "ALTER TABLE users ADD COLUMN mine int", "ALTER TABLE users DISABLE TRIGGER ALL", "ALTER ROLE auth_app SUPERUSER",
    "DROP TABLE users", "DROP TRIGGER remember_deleted_session ON refresh_tokens", "TRUNCATE users CASCADE",
    "UPDATE alembic_version SET version_num = '0000'", "SET ROLE auth_owner",
    "UPDATE schema_compatibility SET oldest_served = '0000'", "DELETE FROM schema_compatibility",
    "COPY users FROM PROGRAM 'id'", "COPY (SELECT 1) TO PROGRAM 'id'", "COPY (SELECT 1) TO '/tmp/mine'",
    "SELECT pg_read_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')", "SELECT pg_ls_dir('.')",
    "SELECT * FROM elsewhere.secrets", "SELECT * FROM public.unnamed", "SELECT rolpassword FROM pg_authid",
    "SET session_replication_role = replica", "SELECT pg_reload_conf()",
]  # fmt: skip
DENIED_TO_THE_SERVICE = [
    "UPDATE users SET id = gen_random_uuid()", "UPDATE users SET created_at = now()", "DELETE FROM audit_events",
    "UPDATE deleted_sessions SET deleted_at = now()", "SELECT public.unnamed()",
    "UPDATE refresh_tokens SET user_id = gen_random_uuid()", "UPDATE refresh_tokens SET secret_hash = '\\x00'",
    "UPDATE refresh_tokens SET id = gen_random_uuid()", "UPDATE refresh_tokens SET credential_epoch = 9",
    "UPDATE refresh_tokens SET generation = 9, user_id = user_id", "UPDATE refresh_tokens SET acr = 'phr'",
    "UPDATE refresh_tokens SET amr = 'pwd otp mfa'", "UPDATE refresh_tokens SET authenticated_at = now()",
    "UPDATE signing_keys SET public_jwk = '{}'", "UPDATE factors SET user_id = gen_random_uuid()",
    "UPDATE recovery_codes SET user_id = gen_random_uuid()", "UPDATE spent_challenges SET digest = '\\x00'",
    "UPDATE link_tokens SET user_id = gen_random_uuid()",
    "UPDATE link_tokens SET purpose = 'reset-password'", "UPDATE outgoing_mails SET recipient = 'me@evil.test'",
    "UPDATE outgoing_mails SET user_id = gen_random_uuid()", "UPDATE outgoing_mails SET kind = 'notice'",
    "UPDATE pending_changes SET user_id = gen_random_uuid()", "UPDATE registrations SET registered_at = now()",
    "UPDATE audit_events SET at = now()",
]  # fmt: skip
DENIED_TO_THE_CLEAN_UP = [
    "SELECT id FROM users", "SELECT hashed_password FROM users", "UPDATE users SET is_active = true",
    "DELETE FROM users", "SELECT * FROM outgoing_mails", "SELECT token_hash FROM link_tokens",
    "UPDATE link_tokens SET expires_at = now() + interval '1 year'", "UPDATE link_tokens SET used_at = NULL",
    "INSERT INTO users (id) VALUES (gen_random_uuid())", "SELECT * FROM signing_keys", "DELETE FROM signing_keys",
    "SELECT secret_hash FROM refresh_tokens", "SELECT user_id FROM refresh_tokens", "SELECT ip FROM refresh_tokens",
    "UPDATE refresh_tokens SET expires_at = now() + interval '1 year'", "UPDATE refresh_tokens SET revoked_at = NULL",
    "UPDATE refresh_tokens SET generation = 0", "SELECT session_id FROM deleted_sessions", "SELECT public.unnamed()",
    "SELECT user_id FROM pending_changes", "DELETE FROM pending_changes",
    "SELECT rotated_ip FROM refresh_tokens", "SELECT rotated_user_agent FROM refresh_tokens",
    "SELECT rotated_to FROM refresh_tokens", "SELECT earlier_used_at FROM refresh_tokens",
    "SELECT idempotency_spent FROM refresh_tokens", "SELECT idempotency_seen FROM refresh_tokens",
    "SELECT told_generation FROM refresh_tokens",
]  # fmt: skip
NOT_OURS = """
CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.secrets (); SET ROLE auth_owner; CREATE TABLE public.unnamed ();
CREATE FUNCTION public.unnamed() RETURNS int LANGUAGE sql AS 'SELECT 1';
"""


@pytest.fixture(scope="module")
def owned_url(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database made by the files of `deploy/sql/`, with things in it that they do not name."""
    name = f"roles_{uuid4().hex}"
    roles.prepare(cluster, name, environment, tmp_path_factory.mktemp("roles"))
    cluster.execute(NOT_OURS, name)
    yield cluster.url(name)
    cluster.drop_database(name)


@asynccontextmanager
async def connected(url: str, role: roles.Role) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(roles.as_role(url, role))
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("role", "statements"),
    [
        ("app", DENIED_TO_EVERY_ROLE + DENIED_TO_THE_SERVICE),
        ("cleanup", DENIED_TO_EVERY_ROLE + DENIED_TO_THE_CLEAN_UP),
    ],
)
async def test_an_injected_statement_gets_no_further_than_the_role(
    owned_url: str, role: roles.Role, statements: list[str]
) -> None:
    async with connected(owned_url, role) as connection:
        assert await connection.fetchval("SELECT current_user") == f"auth_{role}"
        for statement in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                pytest.fail(f"{statement}: {await connection.execute(statement)}")


async def test_only_the_three_roles_may_connect(cluster: Cluster, owned_url: str) -> None:
    cluster.execute("CREATE ROLE stranger LOGIN")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(owned_url.replace("postgres@", "stranger@"))
    finally:
        cluster.execute("DROP ROLE stranger")


@pytest.mark.parametrize("role", ["app", "cleanup"])
async def test_a_session_of_a_role_has_its_time_outs_and_a_safe_search_path(owned_url: str, role: roles.Role) -> None:
    async with connected(owned_url, role) as connection:
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "search_path", "jit")
        found = [await connection.fetchval(f"SHOW {name}") for name in names]
    assert found == ["2s", "700ms", "10s", "public, pg_temp", "off"]


async def test_the_service_and_the_clean_up_connect_as_their_roles(owned_url: str, tmp_path: Path) -> None:
    with Server(environment(owned_url), tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False) as client:
            (await client.register("ada@example.com")).raise_for_status()
            await client.sign_in()
        ours = "SELECT DISTINCT usename::text FROM pg_stat_activity WHERE application_name = 'auth_service'"
        assert await run_sql(owned_url, ours) == [("auth_app",)]
    for age in ("1 minute", "1 day"):  # the younger leaves its id behind, which is a row in another table
        await add_expired_sessions(owned_url, 100)  # a backlog, for batches of 3
        await run_sql(owned_url, f"UPDATE refresh_tokens SET expires_at = now() - interval '{age}'")
        env = environment(roles.as_role(owned_url, "cleanup"))
        cleaned = run_command("cleanup", "--batch-size", "3", "--json", env=env, cwd=tmp_path)
        assert cleaned.returncode == 0, cleaned.stderr
        assert '"left": 0' in cleaned.stdout
    assert await run_sql(owned_url, "SELECT count(*) FROM refresh_tokens") == [(0,)]


@pytest.mark.parametrize(
    "lacking",
    [
        ("USAGE ON SCHEMA public", "GRANT USAGE ON SCHEMA public TO"),
        ("SELECT ON alembic_version", "run 'auth-service grants --apply'"),
    ],
)
@pytest.mark.parametrize("role", ["app", "cleanup"])
def test_what_a_role_lacks_is_told_with_what_gives_it_back(
    owned_url: str, cluster: Cluster, tmp_path: Path, role: roles.Role, lacking: tuple[str, str]
) -> None:
    right, said = lacking
    name = owned_url.rpartition("/")[2]
    cluster.execute(f"REVOKE {right} FROM auth_{role}", name)
    try:
        operator = Operator(roles.as_role(owned_url, role), tmp_path)
        operator.settings = {"DATABASE_URL": operator.url}
        told = operator.run("cleanup", code=1).stderr
        assert said in told
        assert ("'auth-service doctor --for cleanup' names them." in told) is ("ON alembic_version" in right)
    finally:
        cluster.execute(f"GRANT {right} TO auth_{role}", name)


@pytest.mark.parametrize("search_path", ["public, pg_temp", '"$user",public'])  # of `deploy/sql/`, and PostgreSQL's own
async def test_a_server_that_runs_tells_of_a_schema_that_its_role_may_use_no_more(
    owned_url: str, cluster: Cluster, tmp_path: Path, search_path: str
) -> None:
    name = owned_url.rpartition("/")[2]
    cluster.execute(f"ALTER ROLE auth_app IN DATABASE {name} SET search_path = {search_path}", name)
    url = roles.as_role(owned_url, "app")
    database = Database(DatabaseSettings(DATABASE_URL=url, _env_file=None))
    with Server(environment(url), tmp_path) as server:
        server.wait_ready(60)
        async with Client(base_url=server.base_url, trust_env=False, timeout=20) as client:
            (await client.register(f"{uuid4().hex}@example.com")).raise_for_status()
            await database.check_schema()
            cluster.execute("REVOKE USAGE ON SCHEMA public FROM auth_app", name)
            try:
                ready = (await client.get("/health/ready")).json()
                assert (await client.login()).status_code == 503
                for work in (database.transaction, database.statement):  # as the batches of a clean-up, and its looks
                    with pytest.raises(NoUsableSchema):
                        async with work() as tx:
                            await tx.expired_sessions.count_expired()
                with pytest.raises(NoUsableSchema):
                    await database.check_schema()
            finally:
                cluster.execute("GRANT USAGE ON SCHEMA public TO auth_app", name)
                cluster.execute(f"ALTER ROLE auth_app IN DATABASE {name} RESET search_path", name)
                await database.dispose()
            server.wait_ready(60)
        assert ready["detail"] == NoUsableSchema.detail
        assert {one["detail"] for one in events(server.log(), "request.unavailable")} == {NoUsableSchema.detail}
        assert "auth-service migrate" not in server.log()


@pytest.mark.parametrize(
    ("kind", "gone"), [("TABLE", "users"), ("TABLE", "job_leases"), ("FUNCTION", "keep_audit_months")]
)
def test_the_doctor_names_what_is_gone_from_a_schema_at_head(
    owned_url: str, cluster: Cluster, tmp_path: Path, kind: str, gone: str
) -> None:
    """A request says of it alone that the schema does not match."""
    name = owned_url.rpartition("/")[2]
    env = {"DATABASE_URL": roles.as_role(owned_url, "cleanup")}
    cluster.execute(f"ALTER {kind} {gone} RENAME TO away", name)
    try:
        doctor = run_command("doctor", "--for", "cleanup", env=env, cwd=tmp_path)
    finally:
        cluster.execute(f"ALTER {kind} away RENAME TO {gone}", name)
    assert doctor.returncode == 1
    said = "FAIL  schema: what the migrations have made is gone from the database, and only a backup brings it back"
    assert f"{said}: {gone}\n" in doctor.stdout


def test_the_doctor_asks_of_the_clean_up_what_it_needs_and_nothing_of_a_server(owned_url: str, tmp_path: Path) -> None:
    """Neither with its URL alone, nor with all settings of the service but its secrets, as in the CronJob."""
    job = {"DATABASE_URL": roles.as_role(owned_url, "cleanup")}
    settings = {
        "AUTH_PUBLIC_URL": "http://auth.example.com", "AUTH_MAIL__HOST": "mail.invalid", "AUTH_MAIL__SECURITY": "none",
        "AUTH_MAIL__SENDER": "a@example.com", "AUTH_PASSWORD__ARGON2_MEMORY_KIB": "64",
        "DATABASE_READ_REPLICA_URL": "postgresql://auth:password@db.invalid/auth",
    }  # fmt: skip
    for env in (job, job | settings):
        done = run_command("doctor", "--for", "cleanup", "--json", env=env, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads(done.stdout)
        assert list(report) == ["ok", "checks"]
        assert [check["name"] for check in report["checks"]] == [
            "settings", "TLS", "database", "disk", "schema", "grants",
        ]  # fmt: skip
    for role in ("cleanup", "app", "owner"):
        served = run_command("doctor", env={"DATABASE_URL": roles.as_role(owned_url, role)}, cwd=tmp_path)
        assert (served.returncode, served.stdout) == (2, "")
        assert served.stderr.startswith("Error: AUTH_SECRET_KEY: must be set with PostgreSQL")
        assert served.stderr.endswith("; the clean-up needs none: --for cleanup\n")


def test_the_doctor_tells_what_keeps_the_clean_up_out_and_asks_for_no_secret_key(
    owned_url: str, cluster: Cluster, tmp_path: Path
) -> None:
    name = owned_url.rpartition("/")[2]
    words = ("doctor", "--for", "cleanup")
    cluster.execute("REVOKE USAGE ON SCHEMA public FROM auth_cleanup", name)
    try:
        kept_out = run_command(*words, env={"DATABASE_URL": roles.as_role(owned_url, "cleanup")}, cwd=tmp_path)
    finally:
        cluster.execute("GRANT USAGE ON SCHEMA public TO auth_cleanup", name)
    nowhere = run_command(*words, env={"DATABASE_URL": "postgresql://auth_cleanup@127.0.0.1:1/auth"}, cwd=tmp_path)
    overheard = "postgresql://auth_cleanup:changeme@db.invalid/auth?keepalives=1"
    elsewhere = run_command(*words, env={"DATABASE_URL": overheard}, cwd=tmp_path)
    lost = run_command(*words, env={}, cwd=tmp_path)
    assert (lost.returncode, lost.stdout) == (1, "")
    assert lost.stderr.startswith("Error: DATABASE_URL is not set, and its default is not there (SQLite file ")
    assert not list(tmp_path.iterdir()), "and none that a clean-up would take for the right one is made"
    for done, causes in (
        (kept_out, ["GRANT USAGE"]),
        (nowhere, ["Nothing listens"]),
        (elsewhere, ["FAIL  database password", "FAIL  TLS", "ok    ignored options"]),
    ):
        assert (done.returncode, done.stderr) == (1, ""), done.stdout
        assert all(cause in done.stdout for cause in causes), done.stdout
        assert "AUTH_SECRET_KEY" not in done.stdout


async def test_the_clean_up_as_its_role_deletes_used_challenges_and_factors_that_were_never_confirmed(
    owned_url: str, tmp_path: Path
) -> None:
    await add_expired_sessions(owned_url, 1)
    await run_sql(owned_url, f"INSERT INTO spent_challenges SELECT sha256('x'), {LONG_AGO}")
    columns = "id, user_id, kind, last_step, created_at"
    await run_sql(
        owned_url,
        f"INSERT INTO factors ({columns}) SELECT gen_random_uuid(), id, 'totp', 0, {LONG_AGO} FROM users LIMIT 1",
    )
    env = environment(roles.as_role(owned_url, "cleanup"))
    found = json.loads(run_command("cleanup", "--json", "--dry-run", env=env, cwd=tmp_path).stdout)
    assert [found[f"{name}_left"] for name in ("challenges", "factors", "registrations")] == [1, 1, None]
    cleaned = run_command("cleanup", "--json", env=env, cwd=tmp_path)
    report = json.loads(cleaned.stdout)
    assert (report["challenges_deleted"], report["factors_deleted"]) == (1, 1), cleaned.stderr
