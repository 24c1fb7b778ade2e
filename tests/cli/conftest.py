"""Fixtures: an operator at the command line, beside a service that runs, or alone with the embedded database."""

from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.operator import Operator


@pytest.fixture
def operator(client: Client, database_url: str, tmp_path: Path) -> Operator:
    return Operator(database_url, tmp_path)


@pytest.fixture
def embedded(tmp_path: Path) -> Operator:
    """An operator of an embedded database, for what is the same on every one."""
    found = Operator(f"sqlite+aiosqlite:///{tmp_path}/auth.db", tmp_path)
    found.run("migrate")
    return found
