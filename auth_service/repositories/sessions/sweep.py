"""A backlog of expired sessions on PostgreSQL: deleted in the order in which the table stores them, and counted.

The index has them in the order of their end. Where they are scattered over the table, each page would be visited, and
written to the log of the database as a whole, once for each of its rows; in stored order it is once for all of them.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, text

from auth_service.database.connection import Connection

PAGES = 5000  # a statement reads no more of them, however few of their rows have expired
# Reading so many pages in order costs about as much as deleting one row where the index finds it.
PAGES_TO_A_ROW = 8

_PLAN = text(
    """
WITH stored AS MATERIALIZED (
    SELECT pg_relation_size('refresh_tokens') / current_setting('block_size')::int AS pages
), enough AS MATERIALIZED (
    SELECT greatest(:many, pages / :pages_to_a_row) AS sessions FROM stored
)
SELECT statement_timestamp() AS begun, pages, found,
    current_setting('server_version_num')::int >= 140000 AND sessions < found AS is_due
FROM stored, enough, LATERAL (
    SELECT count(*) AS found FROM (
        SELECT FROM refresh_tokens WHERE expires_at <= statement_timestamp() LIMIT (SELECT sessions + 1 FROM enough)
    ) AS expired
) AS counted
"""
).bindparams(bindparam("many", type_=BigInteger()), bindparam("pages_to_a_row", type_=BigInteger()))
# The sum keeps PostgreSQL from a range of the index, here and below, and an address from all of it. Its entries of
# deleted rows lead to every page once more, and a batch in its order would leave rows behind, as the next one begins
# after the last address.
_DELETE = text(
    """
WITH gone AS (
    DELETE FROM refresh_tokens WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM refresh_tokens
        WHERE ctid > :after AND ctid < :before AND expires_at + interval '0' <= statement_timestamp()
        LIMIT :limit FOR UPDATE SKIP LOCKED
    ))
    RETURNING ctid
)
SELECT count(*), max(ctid) FROM gone
"""
).bindparams(bindparam("limit", type_=BigInteger()))
_COUNT = text(
    """
SELECT count(*), statement_timestamp() - min(expires_at)
FROM refresh_tokens WHERE ctid >= '(0,0)' AND expires_at + interval '0' <= statement_timestamp()
"""
)

RowAddress = tuple[int, int]
"""A row's page, and its number on it, which counts from 1."""


class Sweep(NamedTuple):
    """How far a sweep has got. It sees no session that ends after it has `begun`, by the database's clock."""

    begun: datetime
    pages: int
    after: RowAddress = (0, 0)

    @property
    def is_over(self) -> bool:
        return self.after[0] >= self.pages


class SessionSweep:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def plan(self, many: int) -> tuple[Sweep | None, int]:
        """Begin a sweep if more than `many` sessions have expired, and enough for the size of the table; else None.

        With it comes how many have expired, as far as that had to be counted.
        """
        parameters = {"many": many, "pages_to_a_row": PAGES_TO_A_ROW}
        row = (await self._connection.execute(_PLAN, parameters)).one()
        return Sweep(row.begun, row.pages) if row.is_due else None, row.found

    async def delete_expired(self, limit: int, sweep: Sweep) -> tuple[int, Sweep]:
        """Delete up to `limit` expired rows from where the sweep is, skipping locked ones; return how many went."""
        before = (sweep.after[0] + PAGES, 0)
        parameters = {"after": sweep.after, "before": before, "limit": limit}
        deleted, last = (await self._connection.execute(_DELETE, parameters)).one()
        return deleted, sweep._replace(after=last if deleted == limit else before)

    async def survey(self) -> tuple[int, timedelta | None]:
        """Read the whole table; return how many have expired, and how long ago the first one did."""
        # One process is enough: the others are for requests.
        await self._connection.execute(text("SELECT set_config('max_parallel_workers_per_gather', '0', true)"))
        count, age = (await self._connection.execute(_COUNT)).one()
        return count, age
