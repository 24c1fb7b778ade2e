"""The files that accounts travel in: JSON lines and CSV, an account to a line, of which no more than one is kept."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any, Literal

from auth_service.services.transfer.csv_lines import csv_line, csv_reader
from auth_service.services.transfer.fields import Fields, RefusedLine, printable_name, refuse_unknown

Format = Literal["jsonl", "csv"]

LONGEST_LINE = 16 * 1024  # bytes; an account is far shorter
_TOO_LONG = (
    f"The line is longer than {LONGEST_LINE} bytes. If the file is one JSON document, make lines of it first: jq -c."
)
# How a whole document begins: with a list, or with an object that goes on in the next line or whose value is a list.
_DOCUMENT = re.compile(r'\s*(?:\[|\{\s*(?:"(?P<list>[^"]*)"\s*:\s*\[|(?:"[^"]*"\s*:\s*\{?)?\s*$))')


@dataclass(frozen=True)
class Line:
    """A line by its number in the file, from 1 on: its fields, or why there are none."""

    number: int
    content: Fields | RefusedLine


def read_lines(stream: IO[bytes], layout: Format, resume_from: int = 1) -> Iterator[Line]:
    """Yield the accounts of a file from this line on. Empty lines are passed over.

    Raises:
        RefusedLine: no line can be read: a CSV file has no usable header, or the file is one JSON document.
    """
    raws = iter(lambda: stream.readline(LONGEST_LINE + 1), b"")
    parse: Callable[[str], Fields] = _json_object
    first = 1
    if layout == "csv":
        parse, first = csv_reader(_text(next(raws, b"")).removeprefix("\ufeff")), 2
    else:
        raws = _no_document(raws)
    for number, raw in enumerate(raws, first):
        if len(raw) > LONGEST_LINE:
            _skip_rest(stream)
        if number >= resume_from and raw.strip():
            yield Line(number, _content(raw, parse))


def _no_document(raws: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines as they are, unless the first one shows that they are parts of one document."""
    first = next(raws, b"")
    found = _DOCUMENT.match(first.decode("utf-8", "replace").removeprefix("\ufeff"))
    if found:
        name = printable_name(found["list"] or "")
        raise RefusedLine(
            "The file is one JSON document; an import takes one account on each line. Make lines of it first, such as "
            f"by jq -c '.{name or ''}[] | {{email}}' FILE; docs/importing.md has the whole command for many systems."
        )
    return chain([first], raws)


def _content(raw: bytes, parse: Callable[[str], Fields]) -> Fields | RefusedLine:
    if len(raw) > LONGEST_LINE:
        return RefusedLine(_TOO_LONG)
    try:
        return {name: None if value == "" else value for name, value in parse(_text(raw)).items()}
    except RefusedLine as refused:
        return refused


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise RefusedLine("The line is not UTF-8.") from None


def _skip_rest(stream: IO[bytes]) -> None:
    while part := stream.readline(LONGEST_LINE):
        if part.endswith(b"\n"):
            return


def _json_object(text: str) -> Fields:
    try:
        found = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, RefusedLine) else RefusedLine("The line is not JSON.") from None
    if not isinstance(found, dict):
        raise RefusedLine("The line is not a JSON object.")
    refuse_unknown(found)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise RefusedLine("The field is repeated.", printable_name(name))
        found[name] = value
    return found


def header_line(layout: Format, names: tuple[str, ...]) -> str:
    """What stands before the first account of a file: nothing, or the names of the columns."""
    return ",".join(names) + "\n" if layout == "csv" else ""


def account_line(layout: Format, fields: Fields) -> str:
    """Return one account as a line, which `read_lines` reads again."""
    return json.dumps(fields) + "\n" if layout == "jsonl" else csv_line(fields)
