"""Fixtures: what runs the JavaScript client's own tests."""

from pathlib import Path

import pytest

from tests.support.javascript_client import RunTests, run


@pytest.fixture(scope="session")
def project(javascript_client: Path) -> Path:
    return javascript_client


@pytest.fixture
def run_tests(project: Path) -> RunTests:
    """Runs a file of the client's tests with Node's own runner."""

    def run_file(name: str, **env: str) -> None:
        run(project, "node", "--test", "--test-reporter=spec", f"build/{name}.test.js", **env)

    return run_file
