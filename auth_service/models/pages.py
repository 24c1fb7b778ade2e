"""Long lists, in pages: what is on one, and where the next begins."""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

Item = TypeVar("Item")
Position = tuple[datetime, UUID]
"""Where a list goes on: behind what was created at this time with this id."""


class Slice(NamedTuple):
    """Which part of a list is asked for: so many, from its beginning or behind a position."""

    limit: int
    behind: Position | None = None


class Page(NamedTuple, Generic[Item]):
    """`next` is the position that the list goes on behind; None at its end."""

    items: Sequence[Item]
    next: Position | None

    @classmethod
    def of(cls, found: Sequence[Item], wanted: Slice) -> "Page[Item]":
        """Make a page of one more row than is wanted of it, if there are as many."""
        items = found[: wanted.limit]
        last = items[-1] if len(found) > wanted.limit else None
        return cls(items, (last.created_at, last.id) if last else None)  # type: ignore[attr-defined]
