"""`auth-service doctor`: one call that says whether a deployment is in order, and what a password costs there."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from auth_service.services.operations.surroundings import of_settings, of_ways
from auth_service.settings.reading import settings_from
from tests.conftest import SECRET, environment
from tests.support import roles
from tests.support.certificates import make_certificate
from tests.support.doctor import IN_ORDER, REAL_HASHES, examined
from tests.support.mail_server import mail_server, tarpit
from tests.support.postgres import Postgres
from tests.support.server import Server, free_port, run_command
from tests.support.sql import run_sql

NOW = "'2026-01-01 00:00:00.000000'"
AN_HOUR_AHEAD = """
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz
    AS 'SELECT pg_catalog.clock_timestamp() + interval ''1 hour''' LANGUAGE sql;
ALTER ROLE "{role}" IN DATABASE "{name}" SET search_path = public, pg_catalog;
"""

A_PASSKEY = f"""
INSERT INTO factors (id, user_id, kind, name, credential_id, public_key, sign_count, backup_eligible, backed_up,
    user_handle, last_step, created_at, confirmed_at, last_used_at)
SELECT '{"0" * 32}', id, 'passkey', 'a', x'01', x'01', 0, false, false, x'01', 0, {NOW}, {NOW}, {NOW} FROM users
"""


def with_mail(folder: Path, port: int) -> dict[str, str]:
    """The environment of a deployment with an SQLite file at head, and a mail server at this port."""
    env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", **REAL_HASHES)
    assert run_command("migrate", env=env, cwd=folder).returncode == 0
    mail = {"HOST": "127.0.0.1", "PORT": str(port), "SECURITY": "none", "SENDER": "a@example.com"}
    return env | {f"AUTH_MAIL__{name}": value for name, value in mail.items()}


def test_a_deployment_in_order_passes_and_is_told_what_a_hash_costs(postgres_url: str, tmp_path: Path) -> None:
    env = environment(postgres_url, **IN_ORDER, AUTH_HASHING__THREADS="2")
    with Server(env, tmp_path) as server:
        server.wait_ready()  # and a signing key is there
    report = examined(tmp_path, env, 0)
    expected = [
        "settings",
        "public URL",
        "TLS",
        "argon2",
        "argon2 build",
        "memory",
        "schedule",
        "database",
        "disk",
        "clock",
        "schema",
        "grants",
        "signing key",
        "second factors",
        "secrets of factors",
        "stored passkeys",
    ]
    assert list(report["checks"]) == expected
    assert report["checks"]["signing key"]["detail"].endswith("can be used")
    assert report["lane"]["threads"] == 2
    assert report["lane_memory_mib"] == 38
    assert report["hashing"]["argon2"] == "m=19456,t=2,p=1"
    assert report["hashing"]["build"] in {"portable", "x86-64-v3"}
    assert report["hashing"]["alone_ms"] > 0
    assert report["hashing"]["together_ms"] > 0
    assert report["hashing"]["per_second"] > 0
    assert report["recommended"]["argon2"] in {"m=12288,t=3,p=1", "m=19456,t=2,p=1", "m=47104,t=1,p=1"}


def test_people_read_it_in_lines(tmp_path: Path) -> None:
    env = environment(f"sqlite+aiosqlite:///{tmp_path}/auth.db", AUTH_CLEANUP__INTERVAL="0")
    assert run_command("migrate", env=env, cwd=tmp_path).returncode == 0
    done = run_command("doctor", "--target", "10", env=env, cwd=tmp_path)
    assert done.returncode == 1
    assert "FAIL  argon2: m=64,t=1,p=1, below OWASP's minimum\n" in done.stdout
    assert "ok    argon2 build: " in done.stdout
    assert "ok    schema: at head\n" in done.stdout
    assert "ok    signing key: none yet: created at the first start\n" in done.stdout
    assert (
        "ok    schedule: clean-up off: run 'auth-service cleanup' from cron; a new signing key every 90" in done.stdout
    )
    told = done.stdout.splitlines()[-1]
    assert told.startswith("for 10 ms: m=")
    alone = float(told.split(": ")[2].split(" ms alone")[0])
    assert ("m=12288,t=3,p=1" in told and "slow, or busy just now" in told) if alone > 10 else "busy" not in told


@pytest.mark.parametrize("revision", ["none", "0006"])
def test_a_database_without_the_schema_fails_unless_the_service_migrates_at_its_start(
    revision: str, tmp_path: Path
) -> None:
    env = environment(f"sqlite+aiosqlite:///{tmp_path}/auth.db", **REAL_HASHES)
    if revision != "none":
        assert run_command("migrate", "--to", revision, "--yes", env=env, cwd=tmp_path).returncode == 0
    report = examined(tmp_path, {**env, "AUTH_MIGRATE_ON_START": "false"}, 1)
    assert report["failed"] == ["schema"]
    assert "auth-service migrate" in report["checks"]["schema"]["detail"]
    assert "when the service starts" in examined(tmp_path, env, 0)["checks"]["schema"]["detail"]


def test_the_untouched_default_passes_and_is_told_what_production_asks_for(tmp_path: Path) -> None:
    """As after `make run`, and before it; but for the hashes, which take their real time."""
    untouched = {"AUTH_HASHING__THREADS": "1"}
    for is_made in (False, True):
        report = examined(tmp_path, untouched, 0)
        assert (tmp_path / "auth-service.db.secret").exists()
        assert str(tmp_path / "auth-service.db") in report["checks"]["database"]["detail"]
        told = report["checks"]["production"]["detail"]
        assert all(
            name in told for name in ("DATABASE_URL", "AUTH_PUBLIC_URL", "AUTH_INTERNAL_TOKEN", "AUTH_MAIL__HOST")
        )
        if not is_made:
            assert run_command("migrate", env={}, cwd=tmp_path).returncode == 0


async def test_stored_passkeys_are_counted_and_fail_where_no_domain_is_set(tmp_path: Path) -> None:
    env = environment(f"sqlite+aiosqlite:///{tmp_path}/auth.db", **REAL_HASHES)
    assert run_command("migrate", env=env, cwd=tmp_path).returncode == 0
    assert examined(tmp_path, env, 0)["checks"]["stored passkeys"]["detail"] == "none"
    assert run_command("users", "create", "a@example.com", "--no-password", env=env, cwd=tmp_path).returncode == 0
    await run_sql(env["DATABASE_URL"], A_PASSKEY)
    unset = examined(tmp_path, env, 1)
    assert unset["failed"] == ["stored passkeys"]
    assert unset["checks"]["stored passkeys"]["detail"] == "1, and none can be used: AUTH_PASSKEYS__RP_ID is not set"
    domain = {"AUTH_PASSKEYS__RP_ID": "example.test", "AUTH_PASSKEYS__ORIGINS": "https://app.example.test"}
    told = examined(tmp_path, env | domain, 0)["checks"]["stored passkeys"]["detail"]
    assert told.startswith(
        "1, last used on 2026-01-01; those that were added while AUTH_PASSKEYS__RP_ID was not example.test"
    )


def test_a_database_that_does_not_answer_fails_and_the_hash_is_timed_all_the_same(tmp_path: Path) -> None:
    nowhere = f"postgresql://postgres:not-to-be-told@127.0.0.1:{free_port()}/auth"
    report = examined(tmp_path, environment(nowhere, **IN_ORDER), 1)
    assert report["failed"] == ["database"]
    assert "not-to-be-told" not in json.dumps(report)
    assert report["hashing"]["per_second"] > 0


def test_a_signing_key_that_no_listed_secret_opens_fails(postgres_url: str, tmp_path: Path) -> None:
    with Server(environment(postgres_url), tmp_path) as server:
        server.wait_ready()
    other = environment(postgres_url, **IN_ORDER, AUTH_SECRET_KEY="QW5vdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMgb3IgbW9yZQ")
    assert examined(tmp_path, other, 1)["failed"] == ["signing key"]


def test_a_database_whose_clock_is_an_hour_ahead_fails(postgres: Postgres, postgres_url: str, tmp_path: Path) -> None:
    name = postgres_url.rpartition("/")[2]
    role = urlsplit(roles.as_role(postgres_url, "app")).username
    postgres.execute(AN_HOUR_AHEAD.format(name=name, role=role), database=name)
    report = examined(tmp_path, environment(postgres_url, **IN_ORDER), 1)
    assert report["failed"] == ["clock"]
    assert "+3600." in report["checks"]["clock"]["detail"] or "+3599." in report["checks"]["clock"]["detail"]


def test_postgresql_with_the_default_public_url_fails_and_is_told_what_to_set(
    postgres_url: str, tmp_path: Path
) -> None:
    report = examined(tmp_path, environment(postgres_url, **REAL_HASHES), 1)
    assert report["failed"] == ["public URL"]
    assert "set AUTH_PUBLIC_URL" in report["checks"]["public URL"]["detail"]


def test_a_public_url_with_https_and_no_trusted_proxy_fails(postgres_url: str, tmp_path: Path) -> None:
    behind = environment(postgres_url, **REAL_HASHES, AUTH_PUBLIC_URL="https://auth.example.com")
    report = examined(tmp_path, behind, 1)
    assert report["failed"] == ["trusted proxies"]
    assert "set AUTH_PROXY__TRUSTED" in report["checks"]["trusted proxies"]["detail"]
    secured = examined(tmp_path, {**behind, "AUTH_PROXY__TRUSTED": "10.0.0.0/8"}, 0)
    assert (secured["failed"], secured["checks"]["HTTPS"]["ok"]) == ([], True)
    here = examined(tmp_path, {**behind, "AUTH_PUBLIC_URL": "https://localhost:8443"}, 0)
    assert "trusted proxies" not in here["checks"]


def test_a_page_for_passkeys_that_may_not_call_the_service_is_named(postgres_url: str, tmp_path: Path) -> None:
    pages = {
        **IN_ORDER,
        "AUTH_PASSKEYS__RP_ID": "example.com",
        "AUTH_PASSKEYS__ORIGINS": "https://app.example.com, https://example.com, android:apk-key-hash:" + "A" * 43,
        "AUTH_CORS__ORIGINS": "https://example.com",
    }
    told = examined(tmp_path, environment(postgres_url, **pages), 0)["checks"]["passkeys"]["detail"]
    assert "browsers let https://app.example.com call" in told
    pages["AUTH_CORS__ORIGINS"] += ",https://app.example.com"
    assert (
        "browsers let" not in examined(tmp_path, environment(postgres_url, **pages), 0)["checks"]["passkeys"]["detail"]
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_public_url_without_tls_fails_unless_it_is_this_machine(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    is_sqlite = kind == "sqlite"
    url = f"sqlite+aiosqlite:///{tmp_path}/auth.db" if is_sqlite else request.getfixturevalue("postgres_url")
    env = environment(url, **REAL_HASHES, AUTH_PUBLIC_URL="http://auth.example.com/v1")
    assert run_command("migrate", env=environment(url), cwd=tmp_path).returncode == 0
    report = examined(tmp_path, env, 1)
    assert report["failed"] == ["HTTPS"]
    assert report["checks"]["HTTPS"]["detail"].startswith("http://auth.example.com/v1 is not encrypted")
    for here in ("http://localhost:8000", "http://[::1]:8000", "http://127.0.0.1"):
        assert "HTTPS" not in examined(tmp_path, {**env, "AUTH_PUBLIC_URL": here}, 0)["checks"]


def test_a_read_replica_that_does_not_answer_fails_and_the_primary_is_examined(
    postgres_url: str, tmp_path: Path
) -> None:
    nowhere = f"postgresql://postgres:not-to-be-told@127.0.0.1:{free_port()}/auth"
    report = examined(tmp_path, environment(postgres_url, **IN_ORDER, DATABASE_READ_REPLICA_URL=nowhere), 1)
    assert report["failed"] == ["read replica"]
    assert "DATABASE_READ_REPLICA_URL" in report["checks"]["read replica"]["detail"]
    assert "not-to-be-told" not in json.dumps(report)
    assert report["checks"]["signing key"]["ok"]


def test_a_primary_in_the_place_of_the_read_replica_fails(postgres_url: str, tmp_path: Path) -> None:
    env = environment(postgres_url, **IN_ORDER)
    report = examined(tmp_path, {**env, "DATABASE_READ_REPLICA_URL": env["DATABASE_URL"]}, 1)
    assert report["failed"] == ["read replica"]
    assert "not-a-standby" in report["checks"]["read replica"]["detail"]


async def test_administrators_without_a_second_factor_are_named_and_fail_where_they_must_have_one(
    tmp_path: Path,
) -> None:
    env = environment(f"sqlite+aiosqlite:///{tmp_path}/auth.db", **REAL_HASHES)
    assert run_command("migrate", env=env, cwd=tmp_path).returncode == 0
    nobody = examined(tmp_path, env | {"AUTH_FACTORS__REQUIRED_ROLES": "admin"}, 0)["checks"]["second factors"]
    assert nobody["detail"].startswith("no administrator yet: ")
    words = "users create root@example.com --role admin --no-password"
    assert run_command(*words.split(), env=env, cwd=tmp_path).returncode == 0
    check = examined(tmp_path, env, 0)["checks"]["second factors"]
    assert check["detail"].endswith("AUTH_FACTORS__REQUIRED_ROLES=admin asks for one: root@example.com")
    strict = examined(tmp_path, env | {"AUTH_FACTORS__REQUIRED_ROLES": "admin"}, 1)
    assert strict["failed"] == ["second factors"]
    assert strict["checks"]["second factors"]["detail"].endswith("must have one: root@example.com")
    with_one = (
        "INSERT INTO factors (id, user_id, kind, last_step, created_at, confirmed_at) "
        f"SELECT '{'0' * 32}', id, 'totp', 0, {NOW}, {NOW} FROM users"
    )
    await run_sql(env["DATABASE_URL"], with_one)
    checks = examined(tmp_path, env | {"AUTH_FACTORS__REQUIRED_ROLES": "admin"}, 0)["checks"]
    assert checks["second factors"]["detail"] == "every administrator has one"
    passkeys = {"AUTH_PASSKEYS__RP_ID": "example.test", "AUTH_PASSKEYS__ORIGINS": "https://app.example.test"}
    checks = examined(tmp_path, env | passkeys | {"AUTH_PASSKEYS__REQUIRED_ROLES": "admin"}, 1)["checks"]
    assert checks["second factors"]["detail"] == (
        "administrators without a passkey, and must have one: root@example.com"
    )


async def test_a_mail_server_that_greets_passes_and_gets_no_mail(tmp_path: Path) -> None:
    async with mail_server() as server:
        report = await asyncio.to_thread(examined, tmp_path, with_mail(tmp_path, server.port), 0)
        assert report["checks"]["mail"]["detail"] == f"127.0.0.1:{server.port} answers"
        assert (server.asked, server.mails) == (0, [])


async def test_a_mail_server_that_refuses_the_sign_in_fails(tmp_path: Path) -> None:
    tls, authority = make_certificate(tmp_path)
    login = {"AUTH_MAIL__USERNAME": "postbox", "AUTH_MAIL__PASSWORD": "not-to-be-told"}
    async with mail_server(tls, "starttls", login=True) as server:
        secured = {"AUTH_MAIL__SECURITY": "starttls", "AUTH_MAIL__CA_FILE": str(authority), **login}
        report = await asyncio.to_thread(examined, tmp_path, with_mail(tmp_path, server.port) | secured, 1)
    assert report["failed"] == ["mail"]
    assert "SMTPAuthenticationError" in report["checks"]["mail"]["detail"]
    assert "not-to-be-told" not in json.dumps(report)


@pytest.mark.parametrize("is_silent", [False, True])
async def test_a_mail_server_that_refuses_connections_or_never_speaks_fails_within_seconds(
    is_silent: bool, tmp_path: Path
) -> None:
    async with tarpit(lambda _writer: asyncio.sleep(60)) as silent:
        port = silent if is_silent else free_port()
        report = await asyncio.to_thread(examined, tmp_path, with_mail(tmp_path, port), 1)
    assert report["failed"] == ["mail"]
    assert "check AUTH_MAIL__*" in report["checks"]["mail"]["detail"]


@pytest.mark.parametrize(
    ("host", "security", "is_told"),
    [
        ("smtp.example.com", "none", True),
        ("8.8.8.8", "none", True),
        ("2001:4860:4860::8888", "none", True),
        ("smtp.example.com", "starttls", False),
        ("smtp.example.com", "tls", False),
        *((near, "none", False) for near in (
            "localhost", "127.0.0.1", "::1", "postfix", "10.0.0.7", "192.168.1.2", "fd00::7", "relay.corp",
            "postfix.mail.svc.cluster.local",
        )),
    ],
)  # fmt: skip
def test_mails_that_go_to_another_network_without_tls_are_told(host: str, security: str, is_told: bool) -> None:
    mail = {"HOST": host, "SECURITY": security, "SENDER": "a@example.com"}
    settings = settings_from({f"AUTH_MAIL__{name}": value for name, value in mail.items()})
    told = [way for way in of_ways(settings) if not way.ok]
    assert [way.name for way in told] == (["mail TLS"] if is_told else [])
    assert all("set AUTH_MAIL__SECURITY to starttls" in way.detail for way in told)


def test_the_doctor_fails_where_mails_go_to_another_network_without_tls(tmp_path: Path) -> None:
    env = with_mail(tmp_path, free_port()) | {"AUTH_MAIL__HOST": "mail.invalid"}
    assert examined(tmp_path, env, 1)["failed"] == ["mail TLS", "mail"]


@pytest.mark.parametrize(
    ("host", "options", "is_safe"),
    [
        ("db.invalid", "", False),
        ("db.invalid:5432", "?sslmode=prefer", False),
        ("db.invalid", "?sslmode=require", True),
        ("localhost", "", True),
        ("[::1]:5432", "", True),
        ("", "?host=/nowhere", True),
        ("", "?host=localhost,db.invalid", False),
    ],
)
def test_a_database_on_another_machine_fails_unless_its_url_demands_tls(
    host: str, options: str, is_safe: bool, tmp_path: Path
) -> None:
    url = f"postgresql://auth:not-to-be-told@{host}/auth{options}"
    env = {**environment("sqlite+aiosqlite://", **IN_ORDER, DB_CONNECT_TIMEOUT="0.5"), "DATABASE_URL": url}
    report = examined(tmp_path, env, 1)
    assert report["checks"]["TLS"]["ok"] is is_safe
    assert is_safe or "sslmode=verify-full to DATABASE_URL" in report["checks"]["TLS"]["detail"]
    assert "not-to-be-told" not in json.dumps(report)


@pytest.mark.parametrize(
    ("url", "is_told"),
    [
        *(
            (f"auth:{password}@db.invalid/auth", True)
            for password in ("password", "ChangeMe", "postgres", "auth", "123456")
        ),
        *((f"auth:password@{near}/auth", False) for near in ("localhost", "127.0.0.1:5432", "[::1]", "%2Frun%2Fpg")),
        ("auth:password@localhost,db.invalid/auth", True),
        ("auth@db.invalid/auth?password=secret", True),
        ("auth:Vr7kq2password@db.invalid/auth", False),
        ("auth@db.invalid/auth", False),
    ],
)
def test_a_sample_password_of_a_database_on_another_machine_is_told(url: str, is_told: bool) -> None:
    settings = settings_from({"DATABASE_URL": f"postgresql://{url}", "AUTH_SECRET_KEY": SECRET})
    told = [check for check in of_settings(settings) if check.name == "database password"]
    assert [(check.ok, "of DATABASE_URL is a sample" in check.detail) for check in told] == [(False, True)] * is_told


def test_the_doctor_fails_for_a_sample_password_and_does_not_repeat_it(tmp_path: Path) -> None:
    url = "postgresql://auth:changeit@db.invalid/auth?sslmode=require"
    env = {**environment("sqlite+aiosqlite://", **IN_ORDER, DB_CONNECT_TIMEOUT="0.5"), "DATABASE_URL": url}
    report = examined(tmp_path, env, 1)
    assert report["failed"] == ["database password", "database"]
    assert "changeit" not in json.dumps(report)


@pytest.mark.parametrize(
    ("env", "word"),
    [({"AUTH_HASHING__THREADS": "0"}, "AUTH_HASHING__THREADS"), ({"AUTH_SECRET_KEY": "changeme"}, "AUTH_SECRET_KEY")],
)
def test_wrong_settings_end_with_2_and_one_line(env: dict[str, str], word: str, tmp_path: Path) -> None:
    done = run_command("doctor", "--json", env=env, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {word}: ")
    assert done.stderr.count("\n") == 1
