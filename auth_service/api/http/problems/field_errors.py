"""What Pydantic says of a request, as faults: a stable code, and a sentence of ours that never repeats what was sent.

`tests/api/http/test_field_errors.py` walks through the schemas and provokes each error that they can have.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from auth_service.api.http.cursors import NOT_OURS
from auth_service.api.schemas.admin import NO_TIME, ROLE
from auth_service.api.schemas.fields import CLASH, CURSOR, REQUIRED, UNCLEAN
from auth_service.api.schemas.passkeys import TRANSPORT
from auth_service.errors import FieldFault, Reason

MAX_NAME = 64  # characters of a name that is said again; a longer one may be anything, such as a token
NO_OBJECT = "Must be a JSON object."
UNKNOWN = "This field is not known here."
UNNAMED = "Holds a field that is not known here."
EMPTY = "Must not be empty."

# Of each type of error: its reason, its sentence, and which of its numbers is in there.
SENTENCES: dict[str, tuple[Reason, str, str]] = {
    "missing": (Reason.REQUIRED, REQUIRED, ""),
    "string_type": (Reason.WRONG_TYPE, "Must be text.", ""),
    "bytes_type": (Reason.WRONG_TYPE, "Must be text.", ""),
    "string_unicode": (Reason.INVALID_CHARACTER, UNCLEAN, ""),
    "string_too_short": (Reason.TOO_SHORT, "Must have at least {} characters.", "min_length"),
    "string_too_long": (Reason.TOO_LONG, "May have at most {} characters.", "max_length"),
    "bytes_too_long": (Reason.TOO_LONG, "May have at most {} bytes.", "max_length"),
    "too_long": (Reason.TOO_MANY, "May have at most {} items.", "max_length"),
    "list_type": (Reason.WRONG_TYPE, "Must be a list.", ""),
    "dict_type": (Reason.WRONG_TYPE, "Must be an object.", ""),
    "model_type": (Reason.WRONG_TYPE, "Must be an object.", ""),
    "model_attributes_type": (Reason.WRONG_TYPE, "Must be an object.", ""),
    "bool_type": (Reason.WRONG_TYPE, "Must be true or false.", ""),
    "bool_parsing": (Reason.WRONG_TYPE, "Must be true or false.", ""),
    "int_type": (Reason.WRONG_TYPE, "Must be a whole number.", ""),
    "int_parsing": (Reason.WRONG_TYPE, "Must be a whole number.", ""),
    "int_parsing_size": (Reason.WRONG_TYPE, "Must be a whole number of not so many digits.", ""),
    "int_from_float": (Reason.WRONG_TYPE, "Must be a whole number.", ""),
    "float_type": (Reason.WRONG_TYPE, "Must be a number.", ""),
    "float_parsing": (Reason.WRONG_TYPE, "Must be a number.", ""),
    "finite_number": (Reason.NOT_FINITE, "Must be a finite number.", ""),
    "greater_than_equal": (Reason.TOO_SMALL, "Must be at least {}.", "ge"),
    "less_than_equal": (Reason.TOO_LARGE, "Must be at most {}.", "le"),
    "literal_error": (Reason.UNKNOWN_VALUE, "Must be {}.", "expected"),
    "enum": (Reason.UNKNOWN_VALUE, "Must be {}.", "expected"),
    "uuid_type": (Reason.INVALID_FORMAT, "Must be a UUID.", ""),
    "uuid_parsing": (Reason.INVALID_FORMAT, "Must be a UUID.", ""),
    "timezone_aware": (Reason.INVALID_FORMAT, NO_TIME, ""),
    "datetime_type": (Reason.INVALID_FORMAT, NO_TIME, ""),
    "datetime_parsing": (Reason.INVALID_FORMAT, NO_TIME, ""),
    "datetime_from_date_parsing": (Reason.INVALID_FORMAT, NO_TIME, ""),
}
# What is said where a text does not match a pattern.
_PATTERNS = {
    CURSOR: NOT_OURS,
    ROLE: "Must be a role: a small letter, and up to 63 small letters, digits and '_', '.', ':' or '-'.",
    TRANSPORT: "Must be small letters and '-'.",
}
_OURS = frozenset(reason.value for reason in Reason)
_UNEXPECTED = Reason.INVALID_FORMAT, "Is not what is expected here.", ""


def faults_of(entries: Sequence[Mapping[str, Any]]) -> list[FieldFault]:
    """Return what FastAPI found, but for fields that clash, of which it does not say which they are."""
    told = [entry for entry in entries if entry["type"] != CLASH]
    return [_unknown(entry["loc"]) if entry["type"] == "extra_forbidden" else _fault(entry) for entry in told]


def _unknown(location: Sequence[str | int]) -> FieldFault:
    is_named = len(location) > 1 and is_speakable(str(location[-1]))
    return FieldFault(field_name(location), Reason.UNKNOWN_FIELD, UNKNOWN if is_named else UNNAMED)


def _fault(entry: Mapping[str, Any]) -> FieldFault:
    kind, value, told = entry["type"], entry["input"], entry.get("ctx", {})
    field = field_name(entry["loc"])
    if entry["loc"] == ("body",) and kind != "string_unicode":  # which is the name of a field
        return FieldFault(field, Reason.WRONG_TYPE, NO_OBJECT)
    if entry["loc"][0] == "query" and isinstance(value, list):
        return FieldFault(field, Reason.REPEATED, "May be given only once.")
    if kind in _OURS:  # what a validator of ours raised
        return FieldFault(field, Reason(kind), entry["msg"])
    if kind == "string_pattern_mismatch":
        return FieldFault(field, Reason.INVALID_FORMAT, _PATTERNS.get(told["pattern"], _UNEXPECTED[1]))
    if kind != "missing" and (value is None or value in ("", b"")):
        return FieldFault(field, Reason.REQUIRED, EMPTY)
    if kind == "too_long" and isinstance(value, str):  # a secret's characters, or the bytes that a text stands for
        kind = "string_too_long" if told["actual_length"] == len(value) else "bytes_too_long"
    reason, sentence, name = SENTENCES.get(kind, _UNEXPECTED)
    limit = told.get(name)
    whole = int(limit) if isinstance(limit, int | float) else None
    return FieldFault(field, reason, sentence.format(limit if whole is None else whole), whole)


def field_name(location: Sequence[str | int]) -> str:
    """Return the name of a field: the way to it, parted by dots, as far as each part of it can be said again.

    Names that are not known here are what was sent. One that a person could have meant is repeated, so that a typing
    error is found, and none that may be something else.
    """
    parts: list[str] = []
    for part in map(str, location[1:]):
        if not is_speakable(part):
            break
        parts.append(part)
    return ".".join(parts) or str(location[0])


def is_speakable(name: str) -> bool:
    """Tell whether a client's name for a field can be said again: printable, and short."""
    return 0 < len(name) <= MAX_NAME and name.isprintable()
