"""Looks every pin of the locks up among the known vulnerabilities, with pip-audit.

Exit code 0: none is known. 1: one is known, or an exception has expired. 0 with NOT AUDITED on standard error: the
advisory service could not be reached, so nothing is known. Options are passed on to pip-audit.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.supply import ROOT

LOCKS = tuple(f"requirements{name}.lock" for name in ("", "-verifier", "-build", "-argon2", "-dev"))
EXCEPTIONS = ROOT / "deploy" / "supply" / "exceptions.toml"
# How requests, and pip-audit after it, say that nobody answered as an advisory service does.
UNREACHABLE = ("requests.exceptions.", "ServiceError", "Could not connect", "not redirecting properly")


def read_exceptions(file: Path, today: datetime.date) -> list[str]:
    """Return the ids that are let through.

    Raises:
        ValueError: an exception has expired, or lacks its day or its reason.
    """
    found = tomllib.loads(file.read_text("utf-8")).get("exception", [])
    for exception in found:
        if not isinstance(exception.get("until"), datetime.date) or not exception.get("reason"):
            raise ValueError(f"{exception.get('id')}: an exception needs 'until', a date, and 'reason'")
        if exception["until"] < today:
            raise ValueError(f"{exception['id']}: the exception has expired on {exception['until']}")
    return [exception["id"] for exception in found]


def run_pip_audit(locks: Sequence[Path], ignored: Sequence[str], options: Sequence[str]) -> dict[str, Any]:
    """Return pip-audit's report.

    Raises:
        ConnectionError: the advisory service did not answer.
        ValueError: pip-audit could not work, with what it said.
    """
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format=json"]
    command += [f"--requirement={lock}" for lock in locks] + [f"--ignore-vuln={name}" for name in ignored]
    done = subprocess.run(
        [*command, "--progress-spinner=off", *options], capture_output=True, text=True, timeout=600, check=False
    )
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip() or "pip-audit said nothing").splitlines()[-1]
        raise (ConnectionError if any(sign in done.stderr for sign in UNREACHABLE) else ValueError)(last) from None
    return report


def findings(report: dict[str, Any]) -> list[str]:
    """Return one line for each known vulnerability.

    Raises:
        ConnectionError: a pin was not found, which for a pin of ours means that nobody was asked who knows.
    """
    skipped = [found["name"] for found in report["dependencies"] if "skip_reason" in found]
    lines = [
        f"{found['name']} {found['version']}: {known['id']}, fixed in {', '.join(known['fix_versions']) or 'none'}"
        for found in report["dependencies"]
        for known in found.get("vulns", ())
    ]
    if skipped and not lines:
        raise ConnectionError(f"{len(skipped)} of {len(report['dependencies'])} packages are unknown to it")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.supply.audit", description=__doc__)
    parser.add_argument("--lock", type=Path, action="append", help="instead of the project's own")
    parser.add_argument("--exceptions", type=Path, default=EXCEPTIONS)
    given, options = parser.parse_known_args()
    try:
        ignored = read_exceptions(given.exceptions, datetime.datetime.now(datetime.UTC).date())
        found = findings(run_pip_audit(given.lock or [ROOT / lock for lock in LOCKS], ignored, options))
    except ConnectionError as error:
        sys.stderr.write(f"audit: NOT AUDITED, the advisory service could not be reached: {error}\n")
        return 0
    except ValueError as error:
        sys.stderr.write(f"audit: {error}\n")
        return 1
    sys.stdout.write("".join(f"audit: {line}\n" for line in found) or "audit: no known vulnerability in the locks\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
