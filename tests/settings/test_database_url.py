"""`DATABASE_URL` as hosts hand it out and as other tools write it: obeyed, left out with a line, or refused in one."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_service.cli import main
from auth_service.database.hosts import Hosts
from auth_service.errors import DatabaseUnavailable
from auth_service.settings import DatabaseSettings
from auth_service.settings.postgresql import PostgresqlUrl, WrongUrlError, read_postgresql_url
from auth_service.settings.postgresql.libpq import IGNORED, OBEYED, PARAMETERS
from tests.conftest import SECRET
from tests.support import libpq
from tests.support.certificates import Authority

PASSWORD = "hunter2"

# Whose it is, the URL, and what the service makes of it: user, servers, database, options, and what is left out.
AT_AWS = "db.c1x.eu-west-1.rds.amazonaws.com"
HANDED_OUT: list[tuple[str, str, tuple[str, list[tuple[str, int | None]], str, dict[str, str], list[str]]]] = [
    (
        "Heroku",
        f"postgres://u9f:{PASSWORD}@ec2-3-2-1-0.compute-1.amazonaws.com:5432/d8k",
        ("u9f", [("ec2-3-2-1-0.compute-1.amazonaws.com", 5432)], "d8k", {}, []),
    ),
    (
        "Render",
        f"postgresql://auth:{PASSWORD}@dpg-ch2-a.oregon-postgres.render.com/auth_x1",
        ("auth", [("dpg-ch2-a.oregon-postgres.render.com", None)], "auth_x1", {}, []),
    ),
    (
        "Railway",
        f"postgresql://postgres:{PASSWORD}@postgres.railway.internal:5432/railway",
        ("postgres", [("postgres.railway.internal", 5432)], "railway", {}, []),
    ),
    (
        "Fly",
        f"postgres://app:{PASSWORD}@app-db.flycast:5432/app?sslmode=disable",
        ("app", [("app-db.flycast", 5432)], "app", {"sslmode": "disable"}, []),
    ),
    (
        "Fly in IPv6",
        f"postgres://app:{PASSWORD}@[fdaa:0:1::3]:5433/app",
        ("app", [("fdaa:0:1::3", 5433)], "app", {}, []),
    ),
    (
        "Supabase",
        f"postgresql://postgres.abcdef:{PASSWORD}@aws-0-eu-central-1.pooler.supabase.com:6543/postgres",
        ("postgres.abcdef", [("aws-0-eu-central-1.pooler.supabase.com", 6543)], "postgres", {}, []),
    ),
    (
        "Neon",
        f"postgresql://o:{PASSWORD}@ep-a-b.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
        ("o", [("ep-a-b.eu-central-1.aws.neon.tech", None)], "neondb", {"sslmode": "require"}, ["channel_binding"]),
    ),
    (
        "Aiven",
        f"postgres://avnadmin:{PASSWORD}@pg-1.a.aivencloud.com:12691/defaultdb?sslmode=require",
        ("avnadmin", [("pg-1.a.aivencloud.com", 12691)], "defaultdb", {"sslmode": "require"}, []),
    ),
    (
        "DigitalOcean",
        f"postgresql://doadmin:{PASSWORD}@db-1.b.db.ondigitalocean.com:25060/defaultdb?sslmode=require",
        ("doadmin", [("db-1.b.db.ondigitalocean.com", 25060)], "defaultdb", {"sslmode": "require"}, []),
    ),
    (
        "RDS with its readers",
        f"postgresql://auth:{PASSWORD}@{AT_AWS}:5432,reader-{AT_AWS}:5432/auth?target_session_attrs=read-write",
        (
            "auth", [(AT_AWS, 5432), (f"reader-{AT_AWS}", 5432)], "auth", {"target_session_attrs": "read-write"}, [],
        ),
    ),
    (
        "Cloud SQL",
        f"postgresql://auth:{PASSWORD}@/auth?host=/cloudsql/project:europe-west1:db",
        ("auth", [("/cloudsql/project:europe-west1:db", None)], "auth", {}, []),
    ),
    (
        "Cloud SQL, as Prisma needs it",
        f"postgresql://auth:{PASSWORD}@localhost/auth?host=/cloudsql/project:europe-west1:db",
        ("auth", [("/cloudsql/project:europe-west1:db", None)], "auth", {}, []),
    ),
    (
        "Azure",
        f"postgres://auth%40server:{PASSWORD}@server.postgres.database.azure.com:5432/auth?sslmode=require",
        ("auth@server", [("server.postgres.database.azure.com", 5432)], "auth", {"sslmode": "require"}, []),
    ),
    (
        "Crunchy Bridge",
        f"postgres://application:{PASSWORD}@p.abc.db.postgresbridge.com:5431/postgres",
        ("application", [("p.abc.db.postgresbridge.com", 5431)], "postgres", {}, []),
    ),
    (
        "Timescale",
        f"postgres://tsdbadmin:{PASSWORD}@s.tsdb.cloud.timescale.com:34567/tsdb?sslmode=require",
        ("tsdbadmin", [("s.tsdb.cloud.timescale.com", 34567)], "tsdb", {"sslmode": "require"}, []),
    ),
    (
        "PlanetScale",
        f"postgresql://postgres.x1:{PASSWORD}@x.horizon.psdb.cloud:6432/postgres?sslmode=verify-full&sslrootcert=system",
        (
            "postgres.x1", [("x.horizon.psdb.cloud", 6432)], "postgres",
            {"sslmode": "verify-full", "sslrootcert": "system"}, [],
        ),
    ),
    (
        "asyncpg in SQLAlchemy",
        f"postgresql+asyncpg://auth:{PASSWORD}@db/auth",
        ("auth", [("db", None)], "auth", {}, []),
    ),
    (
        "JDBC's word for TLS, as libpq takes it",
        f"postgresql://db:5433/auth?user=auth&password={PASSWORD}&ssl=true",
        ("auth", [("db", 5433)], "auth", {"sslmode": "require"}, []),
    ),
    (
        "a socket's folder in the place of the host",
        f"postgresql://auth:{PASSWORD}@%2Fvar%2Frun%2Fpostgresql:5433/auth",
        ("auth", [("/var/run/postgresql", 5433)], "auth", {}, []),
    ),
    (
        "hosts and ports as options",
        f"postgresql://auth:{PASSWORD}@/auth?host=db1,db2&port=5433",
        ("auth", [("db1", 5433), ("db2", 5433)], "auth", {}, []),
    ),
    (
        "an address beside no name",
        f"postgresql://auth:{PASSWORD}@/auth?hostaddr=10.0.0.7",
        ("auth", [("10.0.0.7", None)], "auth", {}, []),
    ),
    (
        "a file of a secret, with the line break at its end",
        f"postgresql://auth:{PASSWORD}@db/auth\n",
        ("auth", [("db", None)], "auth", {}, []),
    ),
    (
        "what keeps connections alive",
        f"postgresql://auth:{PASSWORD}@db/auth?connect_timeout=10&keepalives=1&keepalives_idle=30&gssencmode=disable&",
        ("auth", [("db", None)], "auth", {}, ["connect_timeout", "gssencmode", "keepalives", "keepalives_idle"]),
    ),
]  # fmt: skip

# What other tools put there, or people: the URL, and what the one line must say.
REFUSED: list[tuple[str, str]] = [
    ("postgresql://auth:hunter2@db/auth?pgbouncer=true", "'pgbouncer' is none of PostgreSQL's own (libpq's): set DB"),
    ("postgresql://auth:hunter2@db/auth?connection_limit=5", "'connection_limit' is none"),
    ("postgresql://auth:hunter2@db/auth?pool_timeout=hunter2", "set DB_POOL_TIMEOUT instead"),
    ("postgresql://auth:hunter2@db/auth?schema=auth", "'schema' is none"),
    ("postgresql://auth:hunter2@db/auth?currentSchema=auth", "'currentSchema' is none"),
    ("postgresql://auth:hunter2@db/auth?search_path=auth", "'search_path' is none"),
    ("postgresql://auth:hunter2@db/auth?sslaccept=strict", "'sslaccept' is none"),
    ("postgresql://auth:hunter2@db/auth?ssl=require", "'ssl' is none of PostgreSQL's own (libpq's): say it with"),
    ("postgresql://auth:hunter2@db/auth?ssl=no-verify", "'ssl' is none"),
    ("postgresql://auth:hunter2@db/auth?sslmode=no-verify", "sslmode must be one of allow, disable"),
    ("postgresql://auth:hunter2@db/auth?prepareThreshold=0", "'prepareThreshold' is none"),
    ("postgresql://auth:hunter2@db/auth?prepared_statement_cache_size=0", "'prepared_statement_cache_size' is none"),
    ("postgresql://auth:hunter2@db/auth?statement_timeout=5", "set DB_STATEMENT_TIMEOUT instead"),
    ("postgresql://auth:hunter2@db/auth?supa=base-pooler.x", "'supa' is none of PostgreSQL's own (libpq's): take it"),
    ("postgresql://auth:hunter2@db/auth?uselibpqcompat=true", "'uselibpqcompat' is none"),
    ("postgresql://auth:hunter2@db/auth?sslmode", "an option must be NAME=VALUE"),
    ("postgresql://auth:hunter2@db/auth?sslmode=verify-full&sslmode=", "the option 'sslmode' has no value"),
    ("postgresql://auth:hunter2@db/auth?target_session_attrs=", "'target_session_attrs' has no value"),
    ("postgresql://auth:hunter2@db/auth?sslmode=verify-ca", "sslmode verify-ca needs sslrootcert"),
    ("postgresql://auth:hunter2@db/auth?sslrootcert=system&sslmode=require", "sslrootcert system needs sslmode="),
    ("postgresql://auth:hunter2@db/auth?sslnegotiation=direct", "sslnegotiation direct needs sslmode=require"),
    ("postgresql://auth:hunter2@db/auth?ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version must be one of TLS"),
    ("postgresql://auth:hunter2@db/auth?gsslib=hunter2", "gsslib must be one of gssapi, sspi"),
    ("postgresql://auth:hunter2@db/auth?sslrootcert=/nowhere/hunter2", "sslrootcert must be a readable file of cert"),
    ("postgresql://auth:hunter2@db/auth?sslrootcert=/etc/passwd", "sslrootcert must be a readable file of cert"),
    ("postgresql://auth:hunter2@db/auth?sslcrl=/etc/passwd", "sslcrl must be a readable file of certificates"),
    ("postgresql://auth:hunter2@db/auth?sslcert=/nowhere/hunter2", "sslcert must be a readable file"),
    ("postgresql://auth:hunter2@db/auth?sslcert=/etc/passwd", "sslkey must be the readable key of sslcert"),
    ("postgresql://auth:p@hunter2@db/auth", "must be percent-encoded ('@' as %40)"),
    ("postgresql://auth@server:hunter2@db/auth", "must be percent-encoded ('@' as %40)"),
    ("postgresql://auth:p/hunter2@db/auth", "must be percent-encoded"),
    ("postgresql://auth:1/hunter2@db/auth", "must be percent-encoded"),
    ("postgresql://auth:1?hunter2@db/auth", "must be percent-encoded"),
    ("postgresql://auth:1/a?hunter2=@db/auth", "must be percent-encoded"),
    ("postgresql://auth:a@b?hunter2=c@db/auth", "must be percent-encoded"),
    ("postgresql://auth:[hunter2]@[db/auth", "a port must be a number"),
    ("postgresql://auth:hunter2@db:0/auth", "a port must be a number from 1 to 65535"),
    ("postgresql://auth:hunter2@db:65536/auth", "port must be a number from 1 to 65535"),
    ("postgresql://auth:hunter2@db1:5432,db2:x/auth", "a port must be a number"),
    ("postgresql://auth:hunter2@/auth?host=a,b,c&port=1,2", "port must be one, or as many as there are hosts"),
    ("postgresql://auth:hunter2@db..example/auth", "host must be the name of a machine"),
    (f"postgresql://auth:hunter2@{'d' * 64}/auth", "host must be the name of a machine"),
    *(
        (f"postgresql://auth:hunter2@{host}/auth", "host is that of an example")
        for host in ("HOST", "HOST:5432", "db,HOST", "HOSTNAME", "DB_HOST", "YOUR-HOST", "<host>", "${DB_HOST}")
    ),
    *(
        (f"postgresql://{account}@{host}", "host is that of an example")
        for account in ("user:password", "username:password", "your_user:your-password", "dbuser:dbpass", "User:Secret")
        for host in ("host/name", "host:5432/dbname", "hostname/db", "your-host/hunter2", "db_host/x?sslmode=require")
    ),
    ("postgresql://auth:hunter2@db/auth?requiressl=", "the option 'requiressl' has no value"),
    ("postgresql:///name?host=host&user=user&password=password", "host is that of an example"),
    *(
        (f"postgresql://auth:hunter2@db/auth?options={options}", "options must be -cNAME=VALUE")
        for options in (
            "-c%20hunter2", "-chunter2", "--hunter2", "-c", "--", "-c%20", "hunter2", "-c%20=1", "-c+a=1",
            "-ca=1%20-chunter2", "-ca=1%20hunter2", "-c%20a%20=%201", "-S%204096%20hunter2",
        )
    ),
    *(
        (f"postgresql://{rest}", "has a '%' without two hexadecimal digits after it")
        for rest in (
            "auth:hunter2%zz@db/auth", "auth:hunter2%@db/auth", "auth:hunter2%2@db/auth", "auth:hunter2%%40@db/auth",
            "hunter2%@db/auth", "auth@db/hunter2%zz", "auth@hunter2%zz/auth", "auth@db/auth?application_name=hunter2%",
            "auth@db/auth?password=%hunter2",
        )
    ),
    *(
        (f"postgresql://auth@db/auth?{query}", "ssl_max_protocol_version must not be below ssl_min_protocol_version")
        for query in (
            "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "ssl_max_protocol_version=TLSv1.1",
            "ssl_max_protocol_version=TLSv1&ssl_min_protocol_version=TLSv1.1",
        )
    ),
    ("postgresql://auth:hunter2@db/auth?service=nope", "service must be one that the service file has (PGSERVICEFILE"),
    ("postgresql://?service=hunter2", "service must be one that the service file has (PGSERVICEFILE"),
    *(
        (f"postgresql://postgres.x:{password}@db/postgres", "password is that of an example: put in your own")
        for password in (
            "[YOUR-PASSWORD]", "%5BYOUR-PASSWORD%5D", "[your_db_password]", "<password>", "<db-password>",
            "{{password}}", "${DB_PASSWORD}", "$%7BPGPASSWORD%7D", "<DbPassword>",
        )
    ),
    ("postgresql://auth:hunter2%00@db/auth", "control characters"),
    ("postgresql://auth:hunter2@db/au\nth", "control characters"),
    ("postgresql://auth:hunter2%ff@db/auth", "must be UTF-8"),
    ("postgresql:auth", "must start with 'postgres://'"),
    ("jdbc:postgresql://db/auth?user=auth&password=hunter2", "must start with 'postgres://'"),
    ("postgresql+psycopg2://auth:hunter2@db/auth", "must start with 'postgres://'"),
    ("postgis://auth:hunter2@db/auth", "must start with 'postgres://'"),
    ("prisma+postgres://accelerate.prisma-data.net/?api_key=hunter2", "must start with 'postgres://'"),
    ("mysql://auth:hunter2@db/auth", "must start with 'postgres://'"),
    ("host=db user=auth password=hunter2", "must start with 'postgres://'"),
    ("psql 'postgresql://auth:hunter2@db/auth'", "must start with 'postgres://'"),
    ('"postgresql://auth:hunter2@db/auth"', "must start with 'postgres://'"),
]  # fmt: skip
REFUSED_FILES = [
    ("sqlite+aiosqlite://hunter2.db", "three slashes"),
    ("sqlite:///hunter2.db?mode=hunter2", "takes no options"),
    ("sqlite:///hunter2.db?timeout=x", "takes no options"),
    ("sqlite:///hunter2\t.db", "control characters"),
]


@pytest.fixture(autouse=True)
def _nothing_of_libpq(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of libpq's is set, and no file of its own is in the home."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def server_of(url: str) -> PostgresqlUrl:
    return DatabaseSettings(DATABASE_URL=url, _env_file=None).server


@pytest.mark.parametrize(
    "options",
    ["", "-cjit=off", "-c%20jit=off%20--work-mem=4MB", "-csearch_path=", "-S%204096%20-e", "endpoint%3Dep-a-1",
     "-c%20app.a%3Db%5C%20c", "--cluster%3Dours-1"],
)  # fmt: skip
def test_options_of_the_server_are_taken_in_all_of_their_forms(options: str) -> None:
    server_of(f"postgresql://auth@db/auth?options={options}")


@pytest.mark.parametrize(
    "url",
    ["user:password@localhost/name", "user:password@127.0.0.1:5432/x", "postgres:postgres@db/postgres",
     "user:pass@db/x", "user@host/name", "auth_app:Vr7kq2@host/auth", "user:password@host1/name",
     "user:password@host.example/name", "auth:password@host/auth"],
)  # fmt: skip
def test_a_database_may_have_the_password_of_an_example(url: str) -> None:
    """In tests, and wherever it is somebody's own; the doctor tells of it where the database is elsewhere."""
    assert server_of(f"postgresql://{url}").user


@pytest.mark.parametrize(
    "password",
    ["p:q", "p#q", "[p]", "[", "p]", ":", "#", "[Vr7kq2]", "p+q", "p%25q", "{pass-the-salt}", "p;q", "p=q&r"],
)
def test_a_password_is_read_as_libpq_reads_it(password: str) -> None:
    url = f"postgresql://auth:{password}@db/auth"
    assert server_of(url).password == (libpq.read(url) or {})["password"]


def test_a_service_is_one_of_the_file_that_libpqs_variable_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable, file in (("HOME", tmp_path / ".pg_service.conf"), ("PGSERVICEFILE", tmp_path / "own.conf")):
        file.write_text(f"[of-{variable}]\nhost=db\n")
        monkeypatch.setenv(variable, str(tmp_path if variable == "HOME" else file))
        assert server_of(f"postgresql://?service=of-{variable}").options["service"] == f"of-{variable}"
    monkeypatch.setenv("PGSERVICE", "nope")
    with pytest.raises(ValueError, match="PGSERVICE must be one that the service file has"):
        server_of("postgresql://auth@db/auth")
    (tmp_path / "own.conf").write_text("host=db\n")
    with pytest.raises(ValueError, match="service must be one that the service file has"):
        server_of("postgresql://?service=of-HOME")


@pytest.mark.parametrize(("url", "expected"), [row[1:] for row in HANDED_OUT], ids=[row[0] for row in HANDED_OUT])
def test_a_url_is_obeyed_as_it_is_handed_out(url: str, expected: tuple[Any, ...]) -> None:
    found = server_of(url)
    assert found.password == PASSWORD
    told = (found.user, list(found.servers), found.database, dict(found.options), list(found.ignored))
    assert told == expected


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_READ_REPLICA_URL"])
@pytest.mark.parametrize(("url", "words"), [*REFUSED, *REFUSED_FILES])
def test_what_cannot_be_obeyed_is_refused_in_one_line_that_names_it_and_no_value(
    name: str, url: str, words: str
) -> None:
    of_primary = "postgresql://auth@db/auth" if name != "DATABASE_URL" else url
    env = {"DATABASE_URL": of_primary, name: url, "AUTH_SECRET_KEY": SECRET}
    ended = CliRunner().invoke(main, ["openapi"], env=env)
    assert (ended.exit_code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"Error: {name}: ")
    assert (name != "DATABASE_URL" and "must start with" in line) or words in line
    assert "hunter2" not in line
    report = json.loads(CliRunner().invoke(main, ["config", "check", "--json"], env=env).stdout)
    assert [problem["name"] for problem in report["problems"]] == [name]


def test_each_option_that_libpq_has_is_obeyed_or_left_out_and_none_is_refused(tmp_path: Path) -> None:
    known = libpq.options()
    assert set(known) <= {*OBEYED, *PARAMETERS, *IGNORED}
    certificate, key = Authority(tmp_path).issue("client")
    of = {
        "port": "5432", "sslmode": "require", "sslnegotiation": "direct", "sslrootcert": str(certificate),
        "sslcrl": str(certificate), "sslcert": str(certificate), "sslkey": str(key), "gsslib": "gssapi",
        "ssl_min_protocol_version": "TLSv1.2", "ssl_max_protocol_version": "TLSv1.3", "target_session_attrs": "any",
        "options": "-cjit=off",
    }  # fmt: skip
    (tmp_path / ".pg_service.conf").write_text("[x]\n")
    query = "&".join(f"{name}={quote(of.get(name, 'x'))}" for name in known)
    found = server_of(f"postgresql://?{query}")
    assert {*found.options, *found.parameters, *found.ignored, "host", "port", "user", "password", "dbname"} == {*known}
    for name, variable in known.items():
        assert OBEYED.get(name) in {variable, None}, name


def test_what_is_left_out_is_told_by_the_doctor(tmp_path: Path) -> None:
    url = "postgresql://auth:hunter2@127.0.0.1:1/auth?keepalives_idle=hunter2&application_name=mine"
    env = {"DATABASE_URL": url, "AUTH_SECRET_KEY": SECRET}
    done = CliRunner().invoke(main, ["doctor", "--target", "10"], env=env)
    assert "ok    ignored options: of DATABASE_URL, without effect: keepalives_idle\n" in done.stdout
    assert "hunter2" not in done.output


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PGPORT", "hunter2", "PGPORT must be a number"),
        ("PGSSLMODE", "hunter2", "PGSSLMODE must be one of"),
        ("PGSSLROOTCERT", "/hunter2", "PGSSLROOTCERT must be a readable file"),
        ("PGTARGETSESSIONATTRS", "hunter2", "PGTARGETSESSIONATTRS must be one of"),
        ("PGSSLNEGOTIATION", "hunter2", "PGSSLNEGOTIATION must be one of"),
        ("PGGSSLIB", "hunter2", "PGGSSLIB must be one of"),
    ],
)
def test_a_variable_of_libpq_that_cannot_be_used_is_refused_by_its_own_name(
    variable: str, value: str, words: str
) -> None:
    env = {"DATABASE_URL": "postgresql://auth@db/auth", "AUTH_SECRET_KEY": SECRET, variable: value}
    ended = CliRunner().invoke(main, ["openapi"], env=env)
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (2, 1)
    assert words in ended.stderr
    assert "hunter2" not in ended.stderr


def test_libpqs_variables_stand_in_for_what_the_url_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGDATABASE": "auth",
        "PGUSER": "u",
        "PGPASSWORD": "p",
    }.items():
        monkeypatch.setenv(name, value)
    found = server_of("postgresql:///other")
    assert (found.servers, found.user, found.password, found.database) == ((("db", 5433),), "u", "p", "other")


def test_a_user_who_has_no_name_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WrongUrlError, match="names no user"):
        read_postgresql_url("postgresql://db/auth")


PIECES = [
    "", "a", "p%40", "@", ":", "/", "?", "#", "[", "]", "::1", "127.0.0.1", "/nowhere", "%2Fnowhere", ",", "1", "65536",
    "0", "&", "=", "+", "%", "%zz", "%00", "%ff", "%0A", "é", "\u2028", "..", "sslmode=require", "host=", "port=",
    "options=", "service=x", "ssl=true", "sslrootcert=system", "passfile=/nowhere", "hostaddr=127.0.0.1", "user=",
]  # fmt: skip
WHITE = [" ", "\n", "\t"]  # of which libpq takes the first away, and only around a part
NEAR = {"host", "hostaddr", "127.0.0.1", "::1", "", "/nowhere"}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_a_url_that_we_and_libpq_read_means_the_same_to_both(rest: str) -> None:
    url = f"postgresql://{rest}"
    try:
        ours = read_postgresql_url(url)
    except WrongUrlError:
        return
    theirs = libpq.read(url)
    if theirs is None:  # it is stricter: a second '=', a lone '%'
        return
    named = {"user": ours.user, "password": ours.password, "dbname": ours.database}
    for name, value in named.items():
        assert (theirs.get(name) or None) == value or (name == "user" and not theirs.get("user")), name
    hosts = ",".join(host for host, _ in ours.servers)
    assert hosts == (theirs.get("host") or theirs.get("hostaddr") or "")
    for name, value in ours.options.items():
        assert theirs.get(name) == value or (name == "sslmode" and "sslrootcert=system" in url), name


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, *WHITE]), max_size=12).map("".join))
async def test_a_url_that_is_taken_leads_to_a_connection_or_to_a_refusal_and_never_to_a_traceback(rest: str) -> None:
    try:
        ours = read_postgresql_url(f"postgresql://{rest}")
    except WrongUrlError:
        return
    if all(host in NEAR for host, _ in ours.servers):  # no look-ups of names
        servers = tuple((host or "/nowhere", 1) for host, _ in ours.servers) or (("/nowhere", 1),)
        with pytest.raises(DatabaseUnavailable):
            await Hosts(PostgresqlUrl(servers, ours.user, ours.password, ours.database, ours.options)).connect(
                timeout=0.5
            )
