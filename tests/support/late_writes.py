"""Catches, on SQLite, a block of lone statements that has read something before it writes.

Such a write cannot wait: it fails at once if another connection is writing (https://sqlite.org/isolation.html). Its
use case needs a transaction of its own, which takes the lock before it reads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

_BEGIN = "BEGIN DEFERRED"
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


@contextmanager
def caught() -> Iterator[list[str]]:
    """The statements of that kind, from now on, of every engine of this process."""
    found: list[str] = []

    def look(connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: Any) -> None:
        told = connection.info
        if statement.startswith("BEGIN"):
            told["has_read"] = False
            told["is_deferred"] = statement == _BEGIN
            return
        is_write = context.isinsert or context.isupdate or context.isdelete or statement.lstrip().startswith(_WRITES)
        if is_write and told.get("is_deferred") and told["has_read"]:
            found.append(statement)
        if is_write:
            told["is_deferred"] = False  # it has the lock now
        else:
            told["has_read"] = True

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", look)
