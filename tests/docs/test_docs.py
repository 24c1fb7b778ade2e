"""The pages of docs/ are true: their code runs, their SQL works, and they name what exists."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic.script import ScriptDirectory
from jose import JWTError

from auth_service.api.http.problems.table import PROBLEMS
from auth_service.database import migrator
from auth_service.models import SecurityEvent
from tests.conftest import environment
from tests.support.claims import runs
from tests.support.client import PASSWORD, Client
from tests.support.markdown import PAGES, ROOT, block, code, prose, section, tables
from tests.support.postgres import Cluster
from tests.support.server import Server, run_command
from tests.support.shell import Shell


def example(name: str) -> dict[str, Any]:
    """Run a Python block of the page for integrators and return what it defines."""
    found: dict[str, Any] = {}
    exec(block("docs/integrating.md", f"run: {name}"), found)  # noqa: S102  # that the page's code runs is the test
    return found


@runs("docs/integrating.md", "run: verify")
async def test_the_example_verifier_takes_our_tokens_and_no_others(ada: Client) -> None:
    verify = example("verify")["verify"]
    tokens = await ada.sign_in()
    jwks = (await ada.get("/.well-known/jwks.json")).json()
    claims = verify(tokens["access_token"], jwks, "http://127.0.0.1:8000")
    assert claims["sid"] == tokens["session_id"]
    assert set(claims) == {"iss", "aud", "sub", "sid", "client_id", "roles", "jti", "iat", "exp",
        "auth_time", "acr", "amr",
    }  # fmt: skip
    for token, keys, service in [
        (tokens["access_token"], jwks, "http://other.example"),
        (tokens["access_token"], {"keys": []}, "http://127.0.0.1:8000"),
        (tokens["access_token"][:-8] + "AAAAAAAA", jwks, "http://127.0.0.1:8000"),
    ]:
        with pytest.raises(JWTError):
            verify(token, keys, service)


LAST_MONTH = "SELECT name FROM audit_partitions() ORDER BY ends DESC LIMIT 1"


@runs("docs/operating.md", "sh: roles", "sql: disable")
def test_the_roles_and_grants_of_the_operators_page_are_enough(cluster: Cluster, tmp_path: Path) -> None:
    host = f"127.0.0.1:{cluster.port}"
    try:
        for _ in range(2):  # all of it may run again
            Shell(ROOT).follow("docs/operating.md", "sh: roles", replaced={"HOST": host})
        url = f"postgresql://{{}}@{host}/auth"
        live_and_be_disabled(cluster, url.format("auth_app"), tmp_path)
        cluster.execute(f"DROP TABLE {cluster.execute(LAST_MONTH, database='auth')}", database="auth")
        done = run_command("cleanup", "--json", env=environment(url.format("auth_cleanup")), cwd=tmp_path)
        cleaned = json.loads(done.stdout)
        assert (cleaned["deleted"], cleaned["audit_made"]) == (3, 1)
        trail = run_command("audit", env=environment(url.format("auth_app")), cwd=tmp_path).stdout
        assert trail.count("session.ended") == 2
    finally:
        cluster.drop_database("auth")


def live_and_be_disabled(cluster: Cluster, url: str, folder: Path) -> None:
    """Use every statement of the service once, with a thief and the SQL that disables a user."""
    who = {"email": "ada@example.com", "password": PASSWORD}
    env = environment(url, AUTH_TOKENS__REFRESH_GRACE="0")
    with Server(env, folder) as server, httpx.Client(base_url=server.base_url, trust_env=False) as http:
        server.wait_ready()
        assert http.post("/auth/register", json=who).status_code == 201

        def log_in() -> dict[str, str]:
            return dict(http.post("/auth/login", json=who).raise_for_status().json())

        def refresh(token: str) -> int:
            return http.post("/auth/refresh", json={"refresh_token": token}).status_code

        stolen = log_in()["refresh_token"]
        assert [refresh(stolen), refresh(stolen)] == [200, 401]
        ended = {"refresh_token": log_in()["refresh_token"]}
        assert http.post("/auth/logout", json=ended).status_code == 204
        tokens = log_in()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert http.get("/auth/me", headers=bearer).status_code == 200
        cluster.execute(block("docs/operating.md", "sql: disable"), database="auth")
        assert http.get("/auth/me", headers=bearer).status_code == 401
        assert refresh(tokens["refresh_token"]) == 401
        assert http.post("/auth/login", json=who).status_code == 401
    cluster.execute("UPDATE refresh_tokens SET expires_at = now()", database="auth")


def test_every_link_within_the_pages_leads_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))]
    assert len(links) > 5
    assert [(page.name, link) for page, link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_link_to_a_heading_finds_it() -> None:
    def headings(page: Path) -> set[str]:
        found = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}

    links = [
        (page, page.parent / file if file else page, heading)
        for page in PAGES
        for file, heading in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", page.read_text("utf-8"))
    ]
    assert len(links) > 5
    assert [(page.name, heading) for page, target, heading in links if heading not in headings(target)] == []


def test_no_line_of_prose_is_wider_than_120_characters() -> None:
    """But for code, tables and a line that is one link or one word."""
    wide = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in PAGES
        for number, line in enumerate(prose(page.read_text("utf-8")).splitlines(), 1)
        if len(line) > 120 and not re.fullmatch(r"\s*(- )?(\[[^]]+\]\(\S+\)|\S+)\S?", line)
    ]
    assert wide == []


def test_the_page_for_integrators_explains_every_problem() -> None:
    (table,) = tables(section("docs/integrating.md", "What each error means"))
    explained = {(int(row[0]), word) for row in table for word in code(row[1])}
    assert explained == {(problem.status, word) for word, problem in PROBLEMS.items()}


def test_the_operators_page_lists_every_event_of_the_log() -> None:
    (table,) = tables(section("docs/operating.md", "Logs"))
    paths = [path for folder in ("auth_service", "migrations") for path in sorted((ROOT / folder).rglob("*.py"))]
    source = "\n".join(path.read_text("utf-8") for path in paths)
    logged = set(re.findall(r"\b(?:log\.\w+|write|tell)\(\s*\"([a-z_.]+)\"", source))
    assert {event for row in table for event in code(row[0])} == logged | set(SecurityEvent)


def test_every_test_that_the_pages_name_exists() -> None:
    """The guards of laws and decisions, as `file::test` or `file`."""
    named = {name for page in PAGES for name in re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", page.read_text("utf-8"))}
    assert len(named) > 5
    for name in sorted(named):
        file, _, test = name.partition("::")
        assert (ROOT / file).exists(), name
        assert not test or f"def {test}(" in (ROOT / file).read_text("utf-8"), name


def test_the_page_about_upgrades_says_of_each_schema_which_services_it_serves() -> None:
    (table, *_) = tables(section("docs/upgrading.md", "What each version needs"))
    scripts = ScriptDirectory.from_config(migrator.config()).walk_revisions()
    served = {script.revision: script.module.oldest_served for script in scripts if script.revision > "0005"}
    told = {new: old if old == new else f"{old} to {new}" for new, old in served.items()}
    assert {row[0]: row[1] for row in table[1:]} == told


def test_the_script_that_tries_the_image_is_a_valid_script() -> None:
    subprocess.run(["bash", "-n", ROOT / "deploy" / "try-image"], check=True)
