"""Fixtures: databases of the test's own."""

from tests.support.databases import make_database

__all__ = ["make_database"]
