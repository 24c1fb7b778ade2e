"""The fields of an account in a file, and what is said of a line that cannot be taken."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any, NamedTuple

from auth_service.errors import InvalidFields, Reason

Fields = Mapping[str, Any]

FIELDS = ("id", "email", "username", "role", "is_active", "is_verified", "created_at", "hashed_password")
MOST_FAULTS = 20  # of one line: a broken line must not make a large report
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,39}", re.ASCII)


class LineReason(StrEnum):
    """Why a line is refused, where no `Reason` of a request says it. None of these ever means something else."""

    NOT_UTF8 = "not-utf-8"
    INVALID_LINE = "invalid-line"
    UNUSABLE_HASH = "unusable-hash"
    MISSING_SETTING = "missing-setting"
    TAKEN = "taken"
    DIFFERENT = "different"
    BY_DATABASE = "refused-by-database"


class LineFault(NamedTuple):
    """What is wrong with a line: with which field, as far as one is to blame. `detail` never holds what was read."""

    field: str | None
    reason: Reason | LineReason
    detail: str
    limit: int | None = None


class RefusedLine(ValueError):  # noqa: N818  # an answer, as in errors/
    """A line that cannot be taken, and all that is wrong with it."""

    def __init__(self, *faults: LineFault) -> None:
        super().__init__(*faults)
        self.faults = faults[:MOST_FAULTS]


class UnreadableFile(ValueError):  # noqa: N818
    """A file of which no line can be read, and why."""


class LineFaults:
    """Collects what is wrong with a line. As a context, it notes what the block refuses, and goes on behind it."""

    def __init__(self, faults: Iterable[LineFault] = ()) -> None:
        self.found = list(faults)

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: type | None, error: BaseException | None, _traceback: TracebackType | None) -> bool:
        if isinstance(error, RefusedLine):
            self.found += error.faults
        elif isinstance(error, InvalidFields):
            self.found += [LineFault(*fault) for fault in error.faults]
        return isinstance(error, RefusedLine | InvalidFields)

    def blame(self, field: str) -> bool:
        """Whether something is wrong with a field."""
        return any(fault.field == field for fault in self.found)

    def refuse(self) -> None:
        """Raise `RefusedLine` if there is anything."""
        if self.found:
            raise RefusedLine(*self.found)


def unknown_fields(names: Iterable[str]) -> Iterator[LineFault]:
    """Yield what is said of each name that is no field; it is said again only if it looks like a name."""
    detail = f"No field of an account. Only these fields are allowed: {', '.join(FIELDS)}."
    for name in names:
        if name not in FIELDS:
            yield LineFault(printable_name(name), Reason.UNKNOWN_FIELD, detail)


def printable_name(name: str) -> str | None:
    """Return the name of a field if it can be one, and not a value that stands where a name should."""
    return name if _NAME.fullmatch(name) else None
