"""Other people's linters find nothing to say about the OpenAPI document: no error, and no warning."""

import json
import os
import subprocess
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.interop.node import needs_node


def lint(workshop: Path, *command: str) -> str:
    """What a linter finds by the rules that it recommends; fail if it ends with an error."""
    env = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    done = subprocess.run(
        ["npx", *command], cwd=workshop, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_validator_of_the_specification(described: Path) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(json.loads(described.read_text())).iter_errors()] == []


@needs_node
def test_redocly(workshop: Path, described: Path) -> None:
    found = json.loads(lint(workshop, "redocly", "lint", "--format=json", str(described)))
    assert found["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, found["problems"]


@needs_node
def test_spectral(workshop: Path, described: Path) -> None:
    (workshop / "rules.json").write_text(json.dumps({"extends": ["spectral:oas"]}))
    found = lint(workshop, "spectral", "lint", "--fail-severity=hint", "--ruleset=rules.json", str(described))
    assert "No results" in found
