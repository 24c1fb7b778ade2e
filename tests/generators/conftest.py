"""Fixtures: the linters and generators of npm, and a running service for the clients that these make."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.interop.node import install_once
from tests.support.server import Server, run_command
from tests.support.stand_in import INTERNAL_TOKEN

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def packages() -> Path:
    """The installed packages."""
    return install_once(HERE, "generators")


@pytest.fixture
def workshop(packages: Path, tmp_path: Path) -> Path:
    """A folder with the packages and our programs."""
    (tmp_path / "node_modules").symlink_to(packages)
    for file in (*HERE.glob("*.ts"), HERE / "package.json", HERE / "tsconfig.json"):
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document, as the command prints it."""
    folder = tmp_path_factory.mktemp("openapi")
    done = run_command("openapi", env=environment("sqlite+aiosqlite://"), cwd=folder)
    (folder / "auth.json").write_text(done.stdout)
    return folder / "auth.json"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    env = environment(f"sqlite+aiosqlite:///{folder}/auth.db", AUTH_INTERNAL_TOKEN=INTERNAL_TOKEN)
    with Server(env, folder) as server:
        server.wait_ready()
        yield server
