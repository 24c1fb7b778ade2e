"""Fixtures: the JavaScript client, installed and built as an author of it would, and what runs its own tests."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.node import HAS_NODE, install_locked
from tests.support.markdown import ROOT

SOURCES = ROOT / "clients" / "javascript"
NOT_OURS = ("node_modules", "dist", "build")
RunTests = Callable[..., None]


@pytest.fixture(scope="session")
def packages() -> Path:
    """What it is built and checked with: once for all processes of a run, and for later runs until the lock changes."""
    if not HAS_NODE:
        pytest.skip("needs node and npm, which this machine does not have")
    folder, lock = Path(sys.prefix) / "lib" / "javascript-client", SOURCES / "package-lock.json"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        done = folder / "done.json"
        if not done.exists() or done.read_bytes() != lock.read_bytes():
            for file in (lock, SOURCES / "package.json"):
                shutil.copy(file, folder)
            install_locked(folder, 240)
            shutil.copy(lock, done)
    return folder / "node_modules"


@pytest.fixture(scope="session")
def project(packages: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of the client, built, with its tests: once for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "javascript-client"
    folder.mkdir(exist_ok=True)
    with (folder / "busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        if not (folder / "built").exists():
            shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns(*NOT_OURS), dirs_exist_ok=True)
            (folder / "node_modules").symlink_to(packages)
            run(folder, "npm", "run", "build")
            run(folder, "npm", "run", "build:tests")
            (folder / "built").touch()
    return folder


@pytest.fixture
def run_tests(project: Path) -> RunTests:
    """Runs a file of the client's tests with Node's own runner."""

    def run_file(name: str, **env: str) -> None:
        run(project, "node", "--test", "--test-reporter=spec", f"build/{name}.test.js", **env)

    return run_file


def run(folder: Path, *command: str, given: str = "", **env: str) -> str:
    """Return what a command prints; fail unless it succeeds."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **env},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
