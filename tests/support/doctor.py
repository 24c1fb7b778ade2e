"""`auth-service doctor`, asked about a deployment that is in order but for what a test changes."""

import json
from pathlib import Path
from typing import Any

from .server import run_command

REAL_HASHES = {"AUTH_PASSWORD__ARGON2_MEMORY_KIB": "19456", "AUTH_PASSWORD__ARGON2_TIME_COST": "2"}
IN_ORDER = {**REAL_HASHES, "AUTH_PUBLIC_URL": "http://127.0.0.1:8000"}


def examined(folder: Path, env: dict[str, str], code: int) -> dict[str, Any]:
    """Run the doctor, who must end with this code, and return the checks by name and the rest of the report."""
    done = run_command("doctor", "--json", "--target", "10", env=env, cwd=folder)
    assert (done.returncode, done.stderr) == (code, "")
    report: dict[str, Any] = json.loads(done.stdout)
    checks = {check.pop("name"): check for check in report.pop("checks")}
    assert report["ok"] is (code == 0) is all(check["ok"] for check in checks.values())
    return report | {"checks": checks, "failed": [name for name, check in checks.items() if not check["ok"]]}
