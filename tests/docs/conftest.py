"""Fixtures: a fresh clone, in which somebody follows a page."""

import sys
from pathlib import Path

import pytest

from tests.support.markdown import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a fresh clone after `make run`: the files that pages name, and no settings and no database."""
    for name in ("alembic.ini", "auth_service", "deploy", "docs", "migrations"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path
