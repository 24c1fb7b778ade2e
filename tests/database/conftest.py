"""Fixtures: a `Database` of the test's own, one with nothing in it, and a connection that stands in its way."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.databases import database, make_database, rival
from tests.support.postgres import Postgres

__all__ = ["database", "make_database", "rival"]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without anything in it, on each dialect."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/auth.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)
