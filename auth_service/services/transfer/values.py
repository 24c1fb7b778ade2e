"""The values of a line, each read from what some system writes; all raise `RefusedLine`, which names the field."""

import re
from datetime import UTC, datetime
from uuid import UUID

from auth_service.errors import Reason
from auth_service.services.transfer.fields import Fields, LineFault, RefusedLine

# What is invisible beyond that is judged with the names: joiners are letters of some scripts.
_UNCLEAN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CLEAN = "Must be text without control characters, line breaks or lone surrogates."
_NO_UUID = "Must be a UUID, such as 01234567-89ab-7cde-8f01-23456789abcd."
_NO_ROLE = "Must be 1 to 64 of a-z, 0-9, '_', '.', ':' and '-', starting with a letter."
_ROLE = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
# As databases write them: PostgreSQL's CSV has `t` and `f`, and where there is no such type they are numbers.
_FLAGS: dict[str | int, bool] = {
    "true": True, "t": True, "1": True, 1: True, "false": False, "f": False, "0": False, 0: False,
}  # fmt: skip
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
# A date with its hyphens, or one that a T separates from the time: digits alone are as likely seconds or milliseconds.
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?!\d).*|\d{8}T.+", re.ASCII)
_NO_TIME = "Must be a time in ISO 8601, such as 2020-01-31T08:00:00Z."
_DIGITS = "Must be a time in ISO 8601, such as 2020-01-31T08:00:00Z, and not a number of seconds or milliseconds."


def string(fields: Fields, name: str) -> str | None:
    """Return the text of a field, or None."""
    found = fields.get(name)
    if found is None:
        return None
    if not isinstance(found, str):
        raise RefusedLine(LineFault(name, Reason.WRONG_TYPE, "Must be text."))
    if _UNCLEAN.search(found):
        raise RefusedLine(LineFault(name, Reason.INVALID_CHARACTER, _CLEAN))
    return found


def uuid(fields: Fields) -> UUID | None:
    """Return the id of the account, if the file has one."""
    text = string(fields, "id")
    if text is None:
        return None
    if not _UUID.fullmatch(text):
        raise RefusedLine(LineFault("id", Reason.INVALID_FORMAT, _NO_UUID))
    return UUID(text)


def role(fields: Fields) -> str:
    """Return the role of the account."""
    found = string(fields, "role")
    if found is None:
        return "user"
    if not _ROLE.fullmatch(found):
        raise RefusedLine(LineFault("role", Reason.INVALID_FORMAT, _NO_ROLE))
    return found


def flag(fields: Fields, name: str, *, default: bool) -> bool:
    """Return what a field says, or the default."""
    found = fields.get(name)
    if found is None:
        return default
    known = _FLAGS.get(found.lower() if isinstance(found, str) else found) if isinstance(found, str | int) else None
    if known is None:
        raise RefusedLine(LineFault(name, Reason.UNKNOWN_VALUE, "Must be true or false; t, f, 1 and 0 are taken, too."))
    return known


def time(fields: Fields, now: datetime) -> datetime | None:
    """Return when the account was made, which is not after `now`."""
    given = fields.get("created_at")
    if isinstance(given, int | float) or (isinstance(given, str) and given.strip("0123456789.") == ""):
        raise RefusedLine(LineFault("created_at", Reason.INVALID_FORMAT, _DIGITS))
    text = string(fields, "created_at")
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text if _TIME.fullmatch(text) else "")
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise RefusedLine(LineFault("created_at", Reason.INVALID_FORMAT, _NO_TIME)) from None
    if found > now:
        raise RefusedLine(LineFault("created_at", Reason.NOT_ALLOWED, "Must not be in the future."))
    return found
