"""The fields of an account in a file, and what is said of a line that cannot be taken."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Fields = Mapping[str, Any]

FIELDS = ("id", "email", "username", "role", "is_active", "is_verified", "created_at", "hashed_password")
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,39}", re.ASCII)


class RefusedLine(ValueError):  # noqa: N818  # an answer, as in errors/
    """A line that cannot be taken: which field, as far as one is to blame, and why. It never holds what was read."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


def refuse_unknown(names: Iterable[str]) -> None:
    """Raise `RefusedLine` for the first name that is no field; it is said again only if it looks like a name."""
    for name in names:
        if name not in FIELDS:
            reason = f"No field of an account. Only these fields are allowed: {', '.join(FIELDS)}."
            raise RefusedLine(reason, printable_name(name))


def printable_name(name: str) -> str | None:
    """Return the name of a field if it can be one, and not a value that stands where a name should."""
    return name if _NAME.fullmatch(name) else None
