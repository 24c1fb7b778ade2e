"""Grants that are older than the schema: who notices, and `auth-service grants`, which mends them without psql."""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import pytest

from auth_service.database.schema import REVISIONS
from auth_service.errors import MissingPrivileges
from tests.conftest import environment
from tests.support import roles
from tests.support.client import PASSWORD
from tests.support.doctor import IN_ORDER
from tests.support.operator import Operator
from tests.support.postgres import Cluster, programs
from tests.support.server import Server, run_command

# As the file was before it named what the mails need, and then some.
OLDER = """
REVOKE ALL ON outgoing_mails, link_tokens FROM auth_app; REVOKE UPDATE (last_login_at) ON users FROM auth_app;
REVOKE EXECUTE ON FUNCTION keep_audit_months FROM auth_app; REVOKE INSERT ON audit_events FROM auth_app;
"""
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")
LACKING = {
    *(f"{verb} on {table}" for verb in VERBS for table in ("outgoing_mails", "link_tokens")),
    "UPDATE (last_login_at) on users", "EXECUTE on keep_audit_months", "INSERT on audit_events",
}  # fmt: skip
# What a role has, as PostgreSQL sees it: the privilege, the column if it is one's, and the table or function.
HELD = """
SELECT a.privilege_type, '', c.oid::regclass::text, 'TABLE' FROM pg_class c, aclexplode(c.relacl) a
WHERE a.grantee = '"{role}"'::regrole AND c.relnamespace = 'public'::regnamespace
UNION ALL SELECT a.privilege_type, ' (' || t.attname || ')', t.attrelid::regclass::text, 'TABLE'
FROM pg_attribute t, aclexplode(t.attacl) a WHERE a.grantee = '"{role}"'::regrole
UNION ALL SELECT a.privilege_type, '', f.oid::regproc::text, 'FUNCTION' FROM pg_proc f, aclexplode(f.proacl) a
WHERE a.grantee = '"{role}"'::regrole ORDER BY 3, 1, 2
"""


@pytest.fixture(scope="module")
def template(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database made as the operators' page says."""
    made = f"grants_{uuid4().hex}"
    roles.prepare(cluster, made, environment, tmp_path_factory.mktemp("grants"))
    yield made
    cluster.drop_database(made)


@pytest.fixture
def name(cluster: Cluster, template: str) -> Iterator[str]:
    """The name of such a database of the test's own."""
    made = f"grants_{uuid4().hex}"
    cluster.create_database(made, template)
    yield made
    cluster.drop_database(made)


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """The name of a database that has the roles and no table."""
    made = f"grants_{uuid4().hex}"
    roles.make_roles(cluster, made)
    yield made
    cluster.drop_database(made)


@pytest.fixture
def stranger(cluster: Cluster) -> Iterator[str]:
    """A role with a name that no installation of ours has."""
    cluster.execute('CREATE ROLE "Auth-app of A.N. Other" LOGIN; GRANT USAGE ON SCHEMA public TO PUBLIC')
    yield "Auth-app of A.N. Other"
    cluster.execute('DROP ROLE "Auth-app of A.N. Other"')


def bare(cluster: Cluster, name: str, role: roles.Role) -> dict[str, str]:
    """Nothing but the URL of the database, for a role."""
    return {"DATABASE_URL": roles.as_role(cluster.url(name), role)}


def held(cluster: Cluster, name: str, role: str) -> list[list[str]]:
    return [line.split("|") for line in cluster.execute(HELD.format(role=role), name).splitlines()]


def psql(cluster: Cluster, name: str, *options: str, script: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(programs() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *options, "-d", owner_url(cluster, name)]
    return subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=False)


def owner_url(cluster: Cluster, name: str) -> str:
    return roles.as_role(cluster.url(name), "owner")


def missing_of(log: str) -> list[str]:
    """What the last answer that was not ready told the log."""
    lines = [json.loads(line) for line in log.splitlines() if '"request.unavailable"' in line]
    return list(lines[-1]["missing"])


def examined(env: dict[str, str], folder: Path) -> dict[str, Any]:
    done = run_command("doctor", "--json", "--target", "10", env=env, cwd=folder)
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_with_older_grants_a_process_is_not_ready_and_says_what_mends_it(
    cluster: Cluster, name: str, tmp_path: Path
) -> None:
    who = {"email": "ada@example.com", "password": PASSWORD}
    cluster.execute(OLDER, name)
    env = environment(cluster.url(name))
    with Server(env, tmp_path) as server, httpx.Client(base_url=server.base_url, trust_env=False) as http:
        server.wait_live()
        for answer in (http.get("/health/ready"), http.get("/health/db"), http.post("/auth/register", json=who)):
            assert (answer.status_code, answer.json()["code"]) == (503, "schema-not-ready")
            is_told = "auth-service grants --apply" in answer.json()["detail"]
            assert is_told == answer.url.path.startswith("/health/")  # what mends it is the operator's to know
            assert "link_tokens" not in answer.text
        assert http.get("/health/ready").status_code == 503
        assert set(missing_of(server.log())) == LACKING
        checks = examined(env, tmp_path)
        assert checks["schema"]["ok"]
        assert not checks["grants"]["ok"]
        assert all(lacking in checks["grants"]["detail"] for lacking in LACKING)

        done = run_command("grants", "--apply", env=bare(cluster, name, "owner"), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "granted to auth_app and auth_cleanup\n")
        assert http.get("/health/ready").status_code == 200
        assert http.post("/auth/register", json=who).status_code == 201


def test_readiness_notices_each_privilege_that_is_gone(cluster: Cluster, name: str, tmp_path: Path) -> None:
    granted = held(cluster, name, "auth_app")
    assert len(granted) > 40
    with Server(environment(cluster.url(name)), tmp_path) as server:
        server.wait_ready()
        with httpx.Client(base_url=server.base_url, trust_env=False) as http:
            for privilege, column, what, kind in granted:
                grant = f"{privilege}{column} ON {kind} {what}"
                cluster.execute(f"REVOKE {grant} FROM auth_app", name)
                assert http.get("/health/ready").status_code == 503, grant
                if what != "alembic_version":  # which is asked first
                    assert missing_of(server.log()) == [f"{privilege}{column} on {what}"]
                cluster.execute(f"GRANT {grant} TO auth_app", name)
            assert http.get("/health/ready").status_code == 200


def test_the_doctor_names_each_privilege_of_the_clean_up_that_is_gone(
    cluster: Cluster, name: str, tmp_path: Path
) -> None:
    """With the URL of the database and no secret key, as the job has it."""
    granted = held(cluster, name, "auth_cleanup")
    assert len(granted) > 30
    job = Operator(roles.as_role(cluster.url(name), "cleanup"), tmp_path, AUTH_SECRET_KEY="")
    for privilege, column, what, kind in granted:
        grant = f"{privilege}{column} ON {kind} {what}"
        cluster.execute(f"REVOKE {grant} FROM auth_cleanup", name)
        told = job.run("doctor", "--for", "cleanup", code=1).stdout
        assert told.endswith(f"{MissingPrivileges.detail} Missing for auth_cleanup: {privilege}{column} on {what}\n")
        assert told.count("FAIL") == (2 if what == "alembic_version" else 1), "which is asked first"
        cluster.execute(f"GRANT {grant} TO auth_cleanup", name)
    assert job.run("doctor", "--for", "cleanup").stdout.endswith("ok    grants: all that the clean-up needs\n")


def test_the_doctor_names_all_that_a_role_lacks_before_the_first_grants(
    cluster: Cluster, name: str, stranger: str, tmp_path: Path
) -> None:
    """Also a role of another name, which is told how it gets them."""
    everything = [f"{what}{column} on {on}" for what, column, on, _ in held(cluster, name, "auth_cleanup")]
    cluster.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM auth_cleanup", name)
    cluster.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM auth_cleanup", name)
    cluster.execute(
        f'GRANT CONNECT ON DATABASE {name} TO "{stranger}"; GRANT USAGE ON SCHEMA public TO "{stranger}"', name
    )
    url = urlsplit(cluster.url(name))
    renamed = url._replace(netloc=f"{quote(stranger)}@{url.netloc.rpartition('@')[2]}").geturl()
    told = []
    for role, at in (("auth_cleanup", roles.as_role(url.geturl(), "cleanup")), (stranger, renamed)):
        job = Operator(at, tmp_path, AUTH_SECRET_KEY="")
        said = job.run("doctor", "--for", "cleanup", code=1).stdout
        told.append(said.strip().rpartition(f"Missing for {role}: ")[2].partition("; "))
    cluster.execute(f'DROP OWNED BY "{stranger}"', name)
    assert [sorted(lacking.split(", ")) for lacking, _, _ in told] == [sorted(everything)] * 2
    assert [hint for _, _, hint in told] == [
        "", f"to a role of another name: 'auth-service grants --apply --cleanup-role {stranger}'",
    ]  # fmt: skip


@pytest.mark.parametrize("role", roles.ROLES)
@pytest.mark.parametrize("purpose", ["service", "clean-up"])
def test_the_doctor_judges_a_role_by_what_it_is_for(
    cluster: Cluster, template: str, tmp_path: Path, purpose: str, role: roles.Role
) -> None:
    """In the environment of a server with the clean-up's URL, which never becomes ready, the doctor fails."""
    meant, words = ("app", ()) if purpose == "service" else ("cleanup", ("--for", "cleanup"))
    operator = Operator(roles.as_role(cluster.url(template), role), tmp_path, **IN_ORDER)
    is_enough = (meant, role) != ("app", "cleanup")
    done = operator.run("doctor", *words, "--json", "--target", "10", code=0 if is_enough else 1)
    report = json.loads(done.stdout)
    (grants,) = [check for check in report["checks"] if check["name"] == "grants"]
    assert grants["ok"] is is_enough
    if is_enough:
        more = f", and far more, as a superuser or the owner of the tables: auth_{meant} is the role for this"
        assert grants["detail"] == f"all that the {purpose} needs{more if role == 'owner' else ''}"
    else:
        assert re.search("Missing for auth_cleanup: .*, INSERT on users, .*; the clean-up needs less", grants["detail"])
        assert grants["detail"].endswith(": --for cleanup")


def test_jobs_need_the_url_of_the_database_and_no_secret(cluster: Cluster, empty: str, tmp_path: Path) -> None:
    owner = bare(cluster, empty, "owner")
    words = ("migrate", "--grant-to", "auth_app", "--grant-cleanup-to", "auth_cleanup")
    done = run_command(*words, env=owner, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\ngranted to auth_app and auth_cleanup\n")
    assert run_command("migrate", env=owner, cwd=tmp_path).returncode == 0
    assert run_command("grants", "--apply", env=owner, cwd=tmp_path).returncode == 0
    for role in ("app", "cleanup"):
        assert run_command("cleanup", env=bare(cluster, empty, role), cwd=tmp_path).returncode == 0
    with Server(environment(cluster.url(empty)), tmp_path) as server:
        server.wait_ready()


def test_what_is_printed_and_what_is_applied_and_the_file_grant_the_same(
    cluster: Cluster, name: str, stranger: str, tmp_path: Path
) -> None:
    """Also to a role whose name has to be quoted; and who is not named keeps what it has."""
    cluster.execute("REVOKE SELECT ON users FROM auth_app; REVOKE DELETE ON throttles FROM auth_cleanup", name)
    as_it_was = held(cluster, name, "auth_app"), held(cluster, name, "auth_cleanup")
    for options, instead_of in ((("--role", stranger), "auth_app"), (("--cleanup-role", stranger), "auth_cleanup")):
        printed = run_command("grants", *options, env={}, cwd=tmp_path).stdout
        done = psql(cluster, name, script=printed)
        assert (done.returncode, done.stderr) == (0, "")
        by_psql = held(cluster, name, stranger)
        cluster.execute(f'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "{stranger}"', name)
        assert (
            run_command("grants", "--apply", *options, env=bare(cluster, name, "owner"), cwd=tmp_path).returncode == 0
        )
        assert held(cluster, name, stranger) == by_psql
        assert (held(cluster, name, "auth_app"), held(cluster, name, "auth_cleanup")) == as_it_was
        done = psql(cluster, name, "-f", str(roles.FILES / "grants.sql"))
        assert (done.returncode, done.stderr) == (0, "")
        assert held(cluster, name, instead_of) == by_psql
        cluster.execute(f'DROP OWNED BY "{stranger}"', name)
        cluster.execute("REVOKE SELECT ON users FROM auth_app; REVOKE DELETE ON throttles FROM auth_cleanup", name)


def test_the_file_says_nothing_of_what_belongs_to_others_and_leaves_it_open(cluster: Cluster, name: str) -> None:
    """As the functions of an extension do."""
    cluster.execute(
        "CREATE FUNCTION theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE their_table ()", name
    )
    cluster.execute("GRANT SELECT ON their_table TO PUBLIC; SET ROLE auth_owner; CREATE TABLE ours ()", name)
    cluster.execute("GRANT ALL ON ours TO auth_app", name)
    done = psql(cluster, name, "-f", str(roles.FILES / "grants.sql"))
    assert (done.returncode, done.stderr) == (0, "")
    open_ = "has_function_privilege('auth_app', 'theirs()', 'EXECUTE'), has_table_privilege('auth_app', {}, 'SELECT')"
    assert cluster.execute("SELECT " + open_.format("'their_table'"), name) == "t|t"
    assert cluster.execute("SELECT " + open_.format("'ours'"), name) == "t|f"


def test_granting_again_takes_back_what_was_granted_beside_the_file(
    cluster: Cluster, name: str, tmp_path: Path
) -> None:
    """Also a right on a whole table of which the file grants some columns."""
    before = {role: held(cluster, name, role) for role in ("auth_app", "auth_cleanup")}
    wide = "GRANT UPDATE ON users, audit_events TO auth_app; GRANT ALL ON refresh_tokens, users TO auth_cleanup"
    cluster.execute(f"{wide}; GRANT UPDATE (id) ON users TO auth_app", name)
    assert run_command("grants", "--apply", env=bare(cluster, name, "owner"), cwd=tmp_path).returncode == 0
    assert {role: held(cluster, name, role) for role in before} == before


def test_those_who_grant_at_once_take_turns(cluster: Cluster, name: str, tmp_path: Path) -> None:
    env = bare(cluster, name, "owner")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run_command("grants", "--apply", env=env, cwd=tmp_path), range(4)))
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 4


@pytest.mark.parametrize("words", [("grants", "--apply", "--role"), ("migrate", "--grant-to")])
def test_a_role_that_does_not_exist_is_one_line_and_nothing_is_done(
    cluster: Cluster, empty: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = run_command(*words, "nobody-here", env=bare(cluster, empty, "owner"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    *named, line = done.stderr.splitlines()
    assert line == "Error: role: 'nobody-here' does not exist; deploy/sql/roles.sql creates roles"
    assert len(named) == (words[0] == "migrate"), "it says which database it is"
    assert cluster.execute("SELECT to_regclass('alembic_version')", empty) == ""


def test_only_the_owner_grants_and_only_what_is_there(cluster: Cluster, name: str, tmp_path: Path) -> None:
    before = held(cluster, name, "auth_app")
    done = run_command("grants", "--apply", env=bare(cluster, name, "app"), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "Error: DATABASE_URL: must name the role that owns the tables, as auth_owner\n"
    assert held(cluster, name, "auth_app") == before
    cluster.execute("DROP TABLE alembic_version", name)
    done = run_command("grants", "--apply", env=bare(cluster, name, "owner"), cwd=tmp_path)
    assert done.returncode == 1
    assert "'auth-service migrate --grant-to ROLE'" in done.stderr
    assert "--grant-cleanup-to ROLE" in done.stderr


def test_a_role_that_may_not_change_the_schema_is_told_whose_url_to_use(
    cluster: Cluster, name: str, empty: str, tmp_path: Path
) -> None:
    owner = bare(cluster, name, "owner")
    assert run_command("migrate", "--to", REVISIONS[-2], "--yes", env=owner, cwd=tmp_path).returncode == 0
    for words in (("migrate",), ("migrate", "--to", REVISIONS[-3], "--yes"), ("migrate", "--grant-to", "auth_app")):
        for database in (name, empty) if words == ("migrate",) else (name,):
            done = run_command(*words, env=bare(cluster, database, "app"), cwd=tmp_path)
            assert (done.returncode, done.stderr.count("\n")) == (1, 2), done.stderr
            assert "may not change the schema: use the DATABASE_URL of the role that owns the tables" in done.stderr
            assert "42501" in done.stderr
    assert run_command("migrate", env=owner, cwd=tmp_path).returncode == 0
    done = run_command("migrate", env=bare(cluster, name, "app"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "the schema is already at head\n")


def test_a_schema_that_is_older_is_said_with_the_command_that_grants_too(
    cluster: Cluster, name: str, tmp_path: Path
) -> None:
    owner = bare(cluster, name, "owner")
    assert run_command("migrate", "--to", REVISIONS[-2], "--yes", env=owner, cwd=tmp_path).returncode == 0
    done = run_command("users", "list", env=bare(cluster, name, "app"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is older than this version of the service: run 'auth-service migrate --grant-to ROLE'" in done.stderr


@pytest.mark.parametrize("words", [("grants", "--apply"), ("migrate", "--grant-to", "auth_app")])
def test_sqlite_has_no_roles(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run_command(*words, env={"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/auth.db"}, cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "Error: DATABASE_URL: is SQLite, which has no roles")


@pytest.mark.parametrize("role", ['a"b', "a'b", "a$$b", "a;b", "a\\b", "a\nb", ""])
def test_a_name_that_could_be_more_than_a_name_is_wrong_use(role: str, tmp_path: Path) -> None:
    done = run_command("grants", "--role", role, env={}, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
