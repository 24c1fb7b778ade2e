"""The supply chain: a known vulnerability, a tampered hash and an outdated exception stop it; the bill is complete."""

import datetime
import hashlib
import json
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.support.markdown import ROOT
from tests.support.server import free_port

ADVISORY = {
    "id": "PYSEC-0000-1",
    "summary": "It is only a test",
    "affected": [
        {
            "package": {"name": "victim", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}
DPKG_STATUS = """\
Package: libssl3
Status: install ok installed
Architecture: amd64
Version: 3.0.17-1~deb12u2
Description: Secure Sockets Layer toolkit
 with a second line

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""


class Advisories(BaseHTTPRequestHandler):
    """Answers as OSV's query does: one package is vulnerable."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"vulns": [ADVISORY]} if asked["package"]["name"] == "victim" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def advisories() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def audit(folder: Path, service: str, pins: str, exception: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "lock").write_text(pins)
    (folder / "exceptions.toml").write_text(exception)
    options = ("--lock", folder / "lock", "--exceptions", folder / "exceptions.toml", "-s", "osv", "--osv-url", service)
    return run("deploy.supply.audit", *options)


def run(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def pin(name: str) -> str:
    return f"{name}==1.0 --hash=sha256:{'0' * 64}\n"


def exception(until: datetime.date, reason: str = "not called") -> str:
    return f'[[exception]]\nid = "{ADVISORY["id"]}"\nuntil = {until}\nreason = "{reason}"\n'


def in_days(days: int) -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)


def test_a_pin_with_a_known_vulnerability_fails_the_audit_until_an_exception_names_it(
    advisories: str, tmp_path: Path
) -> None:
    refused = audit(tmp_path, advisories, pin("victim") + pin("other"))
    assert (refused.returncode, refused.stdout) == (1, "audit: victim 1.0: PYSEC-0000-1, fixed in 1.1\n")
    excepted = audit(tmp_path, advisories, pin("victim") + pin("other"), exception(in_days(1)))
    assert (excepted.returncode, excepted.stdout) == (0, "audit: no known vulnerability in the locks\n")


def test_an_exception_that_has_expired_or_has_no_reason_fails_the_audit(advisories: str, tmp_path: Path) -> None:
    expired = audit(tmp_path, advisories, pin("other"), exception(in_days(-1)))
    assert (expired.returncode, "has expired" in expired.stderr) == (1, True)
    baseless = audit(tmp_path, advisories, pin("other"), exception(in_days(1), reason=""))
    assert (baseless.returncode, "needs 'until'" in baseless.stderr) == (1, True)


def test_an_advisory_service_that_is_out_of_reach_is_no_pass(tmp_path: Path) -> None:
    unknown = audit(tmp_path, f"http://127.0.0.1:{free_port()}", pin("victim"))
    assert (unknown.returncode, unknown.stdout) == (0, "")
    assert unknown.stderr.startswith("audit: NOT AUDITED, the advisory service could not be reached: ")


def test_a_pin_without_a_hash_fails_the_audit(advisories: str, tmp_path: Path) -> None:
    refused = audit(tmp_path, advisories, "other==1.0\n")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "hash" in refused.stderr


def install(folder: Path, digest: str) -> subprocess.CompletedProcess[str]:
    """Install a wheel from a folder as the Makefile and the Dockerfile install the locks."""
    (flags,) = re.findall(r"^install := \$\(pip\) install (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"install --no-compile {flags} -r requirements.lock" in (ROOT / "Dockerfile").read_text()
    assert (ROOT / "deploy" / "build-argon2").read_text().count(" --require-hashes --no-deps ") == 2
    (folder / "lock").write_text(f"victim==1.0 --hash=sha256:{digest}\n")
    here = ("--no-index", "--find-links", folder, "--target", folder / "installed", "-r", folder / "lock")
    return run("pip", "install", *flags.split(), *here)


def test_a_tampered_hash_or_wheel_fails_the_installation(tmp_path: Path) -> None:
    wheel = tmp_path / "victim-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("victim.py", "")
        archive.writestr("victim-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: victim\nVersion: 1.0\n")
        archive.writestr("victim-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("victim-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    tampered = install(tmp_path, digest[:-1] + ("0" if digest[-1] != "0" else "1"))
    assert tampered.returncode == 1
    assert "DO NOT MATCH THE HASHES" in tampered.stderr
    assert not (tmp_path / "installed").exists()
    assert install(tmp_path, digest).returncode == 0


def schema() -> Any:
    """The schema of CycloneDX 1.6, which refers to two others by the names of their files."""
    folder = files("cyclonedx.schema") / "_res"
    bill, spdx, jsf = (f"{name}.SNAPSHOT.schema.json" for name in ("bom-1.6", "spdx", "jsf-0.82"))
    read = {name: json.loads((folder / name).read_text("utf-8")) for name in (bill, spdx, jsf)}
    beside = read[bill]["$id"].rpartition("/")[0]
    registry = jsonschema_rs.Registry([(f"{beside}/{name}", read[name]) for name in (spdx, jsf)])
    return jsonschema_rs.validator_for(read[bill], registry=registry)


def test_the_bill_of_materials_is_valid_and_names_every_pin_with_its_hashes(tmp_path: Path) -> None:
    (tmp_path / "status").write_text(DPKG_STATUS)
    written = run("deploy.supply.sbom", "--dpkg-status", tmp_path / "status")
    assert (written.returncode, written.stderr) == (0, "")
    bill = json.loads(written.stdout)
    assert [error.message for error in schema().iter_errors(bill)] == []
    found = {component["name"]: component for component in bill["components"]}
    lock = (ROOT / "requirements.lock").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    assert len(pins) > 20
    assert {name: found[name]["version"] for name in pins} == pins
    assert sum(len(found[name]["hashes"]) for name in pins) == lock.count("--hash=sha256:")
    assert sum("licenses" in found[name] for name in pins) > len(pins) * 0.8
    assert found["libssl3"]["purl"] == "pkg:deb/debian/libssl3@3.0.17-1~deb12u2?arch=amd64"
    assert found["python"]["type"] == "container"
    assert set(found) == {*pins, "python", "libssl3"}
