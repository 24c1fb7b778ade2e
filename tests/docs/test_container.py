"""The README's way to production, with PostgreSQL and its TLS: all of it but Docker, in whose place is a stand-in."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.claims import runs
from tests.support.client import PASSWORD
from tests.support.markdown import ROOT, block
from tests.support.postgres import Cluster, unprivileged, with_trigrams
from tests.support.server import Server
from tests.support.shell import PATIENT, Shell

STAND_IN = Path(__file__).with_name("docker_stand_in.py")
RULES = """\
local all postgres trust
hostnossl all postgres 127.0.0.1/32 trust
hostssl all all 127.0.0.1/32 scram-sha-256
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The host and port of a PostgreSQL with TLS and passwords, and the file of its certificate's authority."""
    if (binaries := with_trigrams()) is None and not os.environ.get("CI"):
        pytest.skip("no PostgreSQL with TLS here; on Debian: apt install postgresql")
    authority = Authority(tmp_path)
    with Cluster.create(binaries=binaries) as cluster:
        data = cluster._folder / "data"
        for name, file in zip(("server.crt", "server.key"), authority.issue("server", "localhost"), strict=True):
            shutil.copy(file, data / name)
            if owner := unprivileged():
                os.chown(data / name, owner["user"], owner["group"])
        (data / "pg_hba.conf").write_text(RULES)
        cluster.execute("ALTER SYSTEM SET ssl = on")
        cluster.restart()
        yield f"localhost:{cluster.port}", authority.file


@runs("README.md", "run: container", "run: cron", "run: report")
def test_the_container_is_set_up_serves_and_cleans_up(database: tuple[str, Path], tmp_path: Path) -> None:
    host, authority = database
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(STAND_IN), str(tmp_path)])} "$@"\n')
    docker.chmod(0o755)
    shell = Shell(ROOT, prepared=f"PATH={docker.parent}:$PATH")
    settings = str(tmp_path / "auth.env")
    here = {"db.example.com": host, "/etc/auth-db-ca.crt": str(authority), "/etc/auth.env": settings}
    typed = ["choose-one", "choose-one", "choose-two", "choose-two"]
    checked = shell.follow("README.md", "run: container", replaced=here, given="\n".join([*typed, ""]))
    assert "fail" not in checked.lower(), checked
    assert oct(Path(settings).stat().st_mode)[-3:] == "600"
    env = json.loads((tmp_path / "auth").read_text())
    with (
        Server({**PATIENT, **env}, tmp_path) as server,
        httpx.Client(base_url=server.base_url, trust_env=False, timeout=30) as http,
    ):
        server.wait_ready()
        who = {"email": "ada@example.com", "password": PASSWORD}
        assert http.post("/auth/register", json=who).status_code == 201
        assert http.post("/auth/login", json=who).status_code == 200
    line = re.fullmatch(r"(?:[\d*]+ ){5} *(docker .*)\n", block("README.md", "run: cron"))
    assert line
    command = line[1].replace("/etc/auth.env", settings).replace("/etc/auth-db-ca.crt", str(authority))
    report, shown = json.loads(shell.run(command)), json.loads(block("README.md", "run: report"))
    assert list(report) == list(shown)
