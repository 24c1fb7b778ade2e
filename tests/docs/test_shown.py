"""What the pages show is what there is: settings that the service takes, its answers and reports, and drawings."""

import re
import shutil
import subprocess
from pathlib import Path

import httpx

from tests.conftest import environment
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.markdown import ROOT, block
from tests.support.postgres import Postgres, programs
from tests.support.server import Server, run_command
from tests.support.shell import PATIENT, needs


def accepted(page: str, name: str, folder: Path, **others: str) -> None:
    """Fail unless `.env` with this block of a page and these others is what `config check` finds nothing wrong with."""
    settings = {"AUTH_SECRET_KEY": environment("")["AUTH_SECRET_KEY"], **others}
    (folder / ".env").write_text(block(page, name))
    done = run_command("config", "check", env=settings, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    with (folder / ".env").open("a") as file:
        file.write("AUTH_UNKNOWN=1\n")
    assert run_command("config", "check", env=settings, cwd=folder).returncode == 2


@runs("docs/browsers.md", "run: settings")
@runs("docs/failover.md", "run: servers", "run: replica")
@runs("docs/mail.md", "run: settings")
@runs("docs/operating.md", "run: url")
def test_settings_that_the_pages_show_are_settings_that_the_service_takes(tmp_path: Path) -> None:
    accepted("docs/browsers.md", "run: settings", tmp_path)
    accepted("docs/failover.md", "run: servers", tmp_path)
    accepted("docs/failover.md", "run: replica", tmp_path, DATABASE_URL="postgresql://auth_app@db1/auth")
    accepted("docs/mail.md", "run: settings", tmp_path)
    accepted("docs/operating.md", "run: url", tmp_path)


@runs("docs/failover.md", "run: synchronous")
def test_the_settings_of_a_synchronous_standby_are_postgresqls(tmp_path: Path) -> None:
    (tmp_path / "postgresql.conf").write_text(block("docs/failover.md", "run: synchronous"))

    def value(name: str) -> str:
        command = [str(programs() / "postgres"), "-C", name, "-D", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()

    assert value("synchronous_standby_names") == "ANY 1 (db2, db3)"
    assert value("synchronous_commit") == "on"


@runs("docs/gateways.md", "run: insufficient")
@runs("docs/verifying.md", "run: insufficient")
def test_the_header_of_a_sign_in_that_is_not_enough_is_the_one_that_is_sent(tmp_path: Path) -> None:
    with Server(PATIENT, tmp_path) as server, httpx.Client(base_url=server.base_url, trust_env=False) as http:
        server.wait_ready()
        who = {"email": "ada@example.com", "password": PASSWORD}
        http.post("/auth/register", json=who).raise_for_status()
        token = http.post("/auth/login", json=who).raise_for_status().json()["access_token"]
        wanted, bearer = {"acr": "aal2", "max_age": "300"}, {"Authorization": f"Bearer {token}"}
        answer = http.get("/internal/verify", params=wanted, headers=bearer)
    for page in ("docs/gateways.md", "docs/verifying.md"):
        shown = " ".join(block(page, "run: insufficient").split())
        pattern = '[^"]+'.join(map(re.escape, shown.split("...")))
        assert re.fullmatch(pattern, f"WWW-Authenticate: {answer.headers['WWW-Authenticate']}"), page
    assert answer.status_code == 401


@needs("haproxy")
@runs("docs/gateways.md", "run: replicas")
def test_haproxy_takes_the_lines_for_several_replicas(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "gateways" / "haproxy", tmp_path, dirs_exist_ok=True)
    file = tmp_path / "haproxy.cfg"
    lines = block("docs/gateways.md", "run: replicas").replace("\n", "\n    ")
    changed, count = re.subn(r"^    server auth .*\n", f"    {lines}\n", file.read_text(), flags=re.MULTILINE)
    assert count == 3
    file.write_text(changed.replace("/etc/haproxy", str(tmp_path)))
    addresses = {"GATEWAY_BIND": "127.0.0.1:1", "GATEWAY_AUTH": "127.0.0.1:2", "GATEWAY_APP": "127.0.0.1:3"}
    haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
    command, env = [haproxy, "-c", "-f", "haproxy.cfg"], {**addresses, "AUTH_INTERNAL_TOKEN": "x" * 32}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@runs("docs/upgrading.md", "run: check")
def test_the_plan_of_a_migration_is_printed_as_it_is_shown(postgres: Postgres, tmp_path: Path) -> None:
    shown = block("docs/upgrading.md", "run: check")
    postgres.create_database("shown")
    try:
        env = {"DATABASE_URL": postgres.url("shown")}
        (before,) = re.findall(r"^the schema is at (\d+)$", shown, re.MULTILINE)
        assert run_command("migrate", "--to", before, "--yes", env=env, cwd=tmp_path).returncode == 0
        done = run_command("migrate", "--check", env=env, cwd=tmp_path)
    finally:
        postgres.drop_database("shown")
    where, *lines = shown.splitlines()
    assert done.stderr.startswith(where.replace("auth at db1", "shown at "))
    pattern = r"\n.*\n".join(map(re.escape, "\n".join(lines).split("\n...\n")))
    assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), done.stdout


@runs("docs/architecture.md", "drawing: lost answer")
def test_the_drawing_of_a_lost_answer_has_no_arrow_from_or_to_nobody() -> None:
    kind, *lines = block("docs/architecture.md", "drawing: lost answer").strip().splitlines()
    there = {found[1] for line in lines if (found := re.fullmatch(r"    participant (\w+) as .+", line))}
    others = [line for line in lines if not line.startswith("    participant ")]
    arrows = [re.fullmatch(r"    (?:(\w+)(?:-?->>|--x)(\w+)|Note over (\w+),(\w+)): [^;#]+", line) for line in others]
    assert kind == "sequenceDiagram"
    assert all(arrow and {name for name in arrow.groups() if name} <= there for arrow in arrows), others
