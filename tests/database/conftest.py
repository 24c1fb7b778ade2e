"""Fixtures: a `Database` of the test's own, and a connection that stands in its way."""

from tests.support.databases import database, make_database, rival

__all__ = ["database", "make_database", "rival"]
