"""The end of the wait for a PostgreSQL that does not answer at all."""

import asyncio
from typing import Self

from auth_service.database.connection import Connection
from auth_service.errors import DatabaseUnavailable


class Deadline:
    """Hangs up on PostgreSQL at the deadline, a time of the loop: who waits on the connection then gets an error."""

    __slots__ = ("_deadline", "_watch")

    def __init__(self, lease: Connection, deadline: float) -> None:
        self._deadline = deadline
        is_remote = lease.dialect.is_server
        self._watch = asyncio.get_running_loop().call_at(deadline, lease.hang_up) if is_remote else None

    def end(self, error: BaseException | None) -> None:
        """Stay connected from now on; raises `DatabaseUnavailable` in place of what asyncpg makes of a hang-up."""
        if self._watch:
            self._watch.cancel()
        # It raises this if we hang up while it prepares a statement.
        if isinstance(error, AttributeError) and asyncio.get_running_loop().time() >= self._deadline:
            raise DatabaseUnavailable from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.end(error)
