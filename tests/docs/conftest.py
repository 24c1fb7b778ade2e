"""Fixtures: a fresh clone, in which somebody follows a page."""

import sys
from pathlib import Path

import pytest

from tests.support.markdown import ROOT

# For servers of pages that are followed without settings: a machine that stands still for a while is no outage.
PATIENT = {
    "DB_STATEMENT_TIMEOUT": "30", "DB_CONNECT_TIMEOUT": "30", "DB_POOL_TIMEOUT": "2", "AUTH_HASHING__DEADLINE": "30",
}  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a fresh clone after `make run`: the files that pages name, and no settings and no database."""
    for name in ("alembic.ini", "auth_service", "deploy", "docs", "migrations"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path
