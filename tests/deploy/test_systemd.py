"""The units for systemd: valid, closely confined, and with settings that the service accepts."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.support.claims import runs
from tests.support.deployed import DEPLOY
from tests.support.markdown import ROOT
from tests.support.postgres import Cluster
from tests.support.server import run_command
from tests.support.shell import Shell
from tests.support.sql import run_sql, write_past_events

UNITS = {file.name: file.read_text("utf-8") for file in (DEPLOY / "systemd").iterdir()}
PROGRAM = "/opt/auth-service/bin/auth-service"
EXPOSURE = "15"  # of 100; systemd calls less than 20 "OK", and an unconfined service has 96
SECRETS = {"database_url": "DATABASE_URL", "secret_key": "AUTH_SECRET_KEY", "internal_token": "AUTH_INTERNAL_TOKEN"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The units, with a program that is there."""
    if not shutil.which("systemd-analyze") and not os.environ.get("CI"):
        pytest.skip("systemd is not installed")
    for name, text in UNITS.items():
        (tmp_path / name).write_text(text.replace(PROGRAM, "/bin/true"))
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_wrong_with_them(folder: Path) -> None:
    done = analyze("verify", *(folder / name for name in UNITS))
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "auth-service.service").write_text(UNITS["auth-service.service"].replace("ProtectHome", "ProtectHomes"))
    assert "'ProtectHomes'" in analyze("verify", folder / "auth-service.service").stderr


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_a_service_is_exposed_to_little(folder: Path, name: str) -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", folder / name)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_the_service_accepts_the_settings_that_the_unit_gives(tmp_path: Path) -> None:
    unit = UNITS["auth-service.service"]
    assert dict(re.findall(r"^LoadCredential=(\w+):(\S+)$", unit, re.MULTILINE)) == {
        name: f"/etc/auth-service/{name}" for name in SECRETS
    }
    values = environment("postgresql://auth_app@localhost/auth", AUTH_INTERNAL_TOKEN="dG9rZW4gb2YgdGhlIHRlc3Rz")
    for name, variable in SECRETS.items():
        (tmp_path / name).write_text(values[variable])
    given = re.findall(r"^Environment=(\w+)=(\S+)$", unit, re.MULTILINE)
    assert {name for name, _ in given} == {f"{variable}_FILE" for variable in SECRETS.values()}
    env = {name: value.replace("%d", str(tmp_path)) for name, value in given}
    done = run_command("config", "check", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_clean_up_has_the_settings_of_the_service_and_no_secret_of_it(
    sqlite_url: str, tmp_path: Path
) -> None:
    unit = read_unit(UNITS["auth-service-cleanup.service"])
    assert unit["LoadCredential"] == ["database_url:/etc/auth-service/cleanup_database_url"]
    assert unit["EnvironmentFile"] == read_unit(UNITS["auth-service.service"])["EnvironmentFile"]
    (tmp_path / "database_url").write_text(sqlite_url)
    settings = {
        "AUTH_AUDIT__RETENTION": "P3650D", "AUTH_CLEANUP__INTERVAL": "0", "AUTH_MAIL__HOST": "mail.example",
        "AUTH_MAIL__SENDER": "no-reply@example.com", "AUTH_MAIL__USERNAME": "auth",  # its password is a credential
        "AUTH_SECRET_KEY_FILE": "/etc/auth-service/secret_key",  # for commands by hand
    }  # fmt: skip
    env = dict(line.split("=", 1) for line in unit["Environment"]) | settings
    for name in " ".join(unit["UnsetEnvironment"]).split():
        env.pop(name, None)
    env = {name: value.replace("%d", str(tmp_path)) for name, value in env.items()}
    await write_past_events(
        sqlite_url,
        "INSERT INTO audit_events (at, id, event, details) "
        "VALUES (datetime('now', '-500 days'), lower(hex(randomblob(16))), 'login.failed', '{}')",
    )
    (command,) = unit["ExecStart"]
    done = run_command(*command.removeprefix(PROGRAM).split(), env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["audit_dropped"], report["audit_retention_days"]) == (0, 3650)
    assert await run_sql(sqlite_url, "SELECT count(*) FROM audit_events") == [(1,)]


def read_unit(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@runs("docs/deploying.md", "run: install", "run: enable", "run: by hand")
def test_the_page_installs_the_service_migrates_and_puts_the_units_in_their_place(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.execute((DEPLOY / "sql" / "roles.sql").read_text("utf-8"))
    url = f"postgresql://{{}}@127.0.0.1:{cluster.port}/auth"
    installed, settings, units = (tmp_path / name for name in ("opt", "etc", "units"))
    settings.mkdir()
    units.mkdir()
    (settings / "settings.env").write_text(
        "AUTH_PUBLIC_URL=https://auth.example.com\nAUTH_PROXY__TRUSTED=10.0.0.1/32\n"
    )
    (settings / "database_url").write_text(url.format("auth_app"))
    (tmp_path / "owner_url").write_text(url.format("auth_owner"))
    here = {
        "/opt/auth-service": str(installed), "/etc/auth-service": str(settings), "/etc/systemd/system": str(units),
        "/root/owner_url": str(tmp_path / "owner_url"),
    }  # fmt: skip
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "HOME"}
    try:
        shell = Shell(ROOT, pip, 'systemctl() { echo "systemctl $*"; }')
        said = shell.follow("docs/deploying.md", "run: install", "run: enable", replaced=here)
        assert said.splitlines()[-2:] == ["systemctl daemon-reload", "systemctl enable --now auth-service"]
        assert {file.name for file in units.iterdir()} == set(UNITS)
        told = shell.follow(
            "docs/deploying.md",
            "run: by hand",
            replaced={
                name: place for name, place in here.items() if name in {"/opt/auth-service", "/etc/auth-service"}
            },
        )
        assert "\nok    grants: " in told
    finally:
        cluster.drop_database("auth")
