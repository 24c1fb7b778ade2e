"""JSON documents, read strictly: UTF-8, one meaning for each name, finite numbers, and every refusal in milliseconds.

Each refusal says where in the document it is, and what was expected there, but nothing of what stands there.
"""

import json
import math
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NoReturn

from auth_service.api.http.problems import MalformedJson
from auth_service.api.http.problems.field_errors import field_name, is_speakable
from auth_service.errors import FieldFault, InvalidFields, Reason

MOST_NAMES = 8  # of the way to a value

# What the parser expected, by how its own message begins, which may go on with what it found.
_EXPECTED = {
    "Expecting value": "a value",
    "Expecting property name": "a name in double quotes",
    "Illegal trailing comma": "no comma before a closing bracket",
    "Expecting ':'": "a colon",
    "Expecting ','": "a comma or a closing bracket",
    "Unterminated string": "an end of the text that begins",
    "Invalid control character": "the escape of a control character",
    "Invalid \\u": "four hexadecimal digits",
    "Invalid \\": "an escape that JSON has",
    "Extra data": "the end of the document",
}


class _NotFiniteError(ValueError):
    """Another reading has to find out where the number is."""


def parse(body: bytes) -> Any:
    """Return the document.

    Raises:
        MalformedJson: not UTF-8, not JSON, nested too deeply, or an object that names something twice.
        InvalidFields: a number that is not finite.
    """
    try:
        return _decoder.decode(body.decode("utf-8"))
    except _NotFiniteError:
        raise InvalidFields(_not_finite(body)) from None
    except (ValueError, RecursionError) as error:
        raise _malformed(error, body) from None


def _malformed(error: ValueError | RecursionError, body: bytes) -> MalformedJson:
    """The refusal of a document that the parser gave up."""
    if isinstance(error, RecursionError):
        return MalformedJson("The body is nested too deeply.")
    if isinstance(error, UnicodeDecodeError):
        return MalformedJson(f"The body is not UTF-8, at byte {error.start + 1}.")
    if not body.strip():
        return MalformedJson("The body is empty; send a JSON object.")
    if not isinstance(error, json.JSONDecodeError):
        return MalformedJson("The body holds a number of too many digits.")
    [*expected] = (what for message, what in _EXPECTED.items() if error.msg.startswith(message))
    what = expected[0] if expected else "something else"
    return MalformedJson(f"The body is not JSON: at line {error.lineno}, column {error.colno}, {what} was expected.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values for one name mean different things to different parsers (RFC 8259, section 4)."""
    found = dict(pairs)
    if len(found) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise MalformedJson(f"{f'The name {twice}' if is_speakable(twice) else 'A name'} stands twice in one object.")
    return found


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        _refuse_constant(number)
    return value


def _refuse_constant(_constant: str) -> NoReturn:
    raise _NotFiniteError


def _not_finite(body: bytes) -> list[FieldFault]:
    """Where the numbers are that are not finite, by another reading, which lets them through."""
    try:
        document = _lenient.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _malformed(error, body) from None
    # Not each of thousands: a small body must not make a large answer.
    places = dict.fromkeys(islice(_places(document), 1000))
    fields = dict.fromkeys(field_name(("body", *place)) for place in islice(places, 20))
    return [FieldFault(field, Reason.NOT_FINITE, "Must be a finite number.") for field in fields]


def _places(document: Any) -> Iterator[tuple[str | int, ...]]:
    """The way to each number that is not finite, as far as it can be told."""
    waiting: deque[tuple[tuple[str | int, ...], Any]] = deque([((), document)])
    while waiting:
        place, value = waiting.popleft()
        if isinstance(value, dict | list):
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(place if len(place) >= MOST_NAMES else (*place, name), one) for name, one in inner]
        elif isinstance(value, float) and not math.isfinite(value):
            yield place


# Made once: json.loads makes one for each document.
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant)
_lenient = json.JSONDecoder(object_pairs_hook=_unique)
