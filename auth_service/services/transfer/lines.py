"""The files that accounts travel in: JSON lines and CSV, an account to a line, of which no more than one is kept."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any

from auth_service.errors import Reason
from auth_service.services.transfer.csv_lines import csv_line, csv_reader
from auth_service.services.transfer.fields import (
    Fields,
    LineFault,
    LineFaults,
    LineReason,
    RefusedLine,
    printable_name,
    unknown_fields,
)
from auth_service.services.transfer.files import Format, refuse_other_files

LONGEST_LINE = 16 * 1024  # bytes; an account is far shorter
_TOO_LONG = (
    f"The line is longer than {LONGEST_LINE} bytes. If the file is one JSON document, make lines of it first: jq -c."
)
_NOT_UTF8 = (
    "The line is not UTF-8. If the file is in an encoding of Western Europe (ISO 8859-1, Windows-1252), convert it "
    "first, such as by iconv -f WINDOWS-1252 -t UTF-8 FILE."
)


@dataclass(frozen=True)
class Line:
    """A line by its number in the file, from 1 on: its fields, or None, and what is wrong with it so far."""

    number: int
    fields: Fields | None
    faults: Sequence[LineFault]


def read_lines(stream: IO[bytes], layout: Format, resume_from: int = 1) -> Iterator[Line]:
    """Yield the accounts of a file from this line on. Empty lines are passed over.

    Raises:
        UnreadableFile: no line can be read: a CSV file has no usable header, or the file is something else.
    """
    raws = iter(lambda: stream.readline(LONGEST_LINE + 1), b"")
    first = next(raws, b"")
    refuse_other_files(first, layout)
    parse: Callable[[str, LineFaults], Fields] = _json_object
    if layout == "csv":
        parse, begin = csv_reader(first), 2
    else:
        raws, begin = chain([first], raws), 1
    for number, raw in enumerate(raws, begin):
        if len(raw) > LONGEST_LINE:
            _skip_rest(stream)
        if number >= resume_from and raw.strip():
            yield _line(number, raw, parse)


def _line(number: int, raw: bytes, parse: Callable[[str, LineFaults], Fields]) -> Line:
    faults, fields = LineFaults(), None
    with faults:
        found = parse(_text(raw), faults)
        fields = {name: None if value == "" else value for name, value in found.items()}
    return Line(number, fields, faults.found)


def _text(raw: bytes) -> str:
    if len(raw) > LONGEST_LINE:
        raise RefusedLine(LineFault(None, Reason.TOO_LONG, _TOO_LONG, LONGEST_LINE))
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise RefusedLine(LineFault(None, LineReason.NOT_UTF8, _NOT_UTF8)) from None


def _skip_rest(stream: IO[bytes]) -> None:
    while part := stream.readline(LONGEST_LINE):
        if part.endswith(b"\n"):
            return


def _json_object(text: str, faults: LineFaults) -> Fields:
    """Read one; what is there twice, or is no field, is among the faults."""
    pairs: list[tuple[str, Any]] = []

    def unique(given: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[:] = given  # in the end those of the outermost object
        return dict(given)

    try:
        found = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise RefusedLine(LineFault(None, LineReason.INVALID_LINE, "The line is not JSON.")) from None
    if not isinstance(found, dict):
        raise RefusedLine(LineFault(None, LineReason.INVALID_LINE, "The line is not a JSON object."))
    names = [name for name, _ in pairs]
    for name in dict.fromkeys(name for name in names if len(pairs) > len(found) and names.count(name) > 1):
        faults.found.append(LineFault(printable_name(name), Reason.REPEATED, "The field is repeated."))
    faults.found += unknown_fields(found)
    return found


def header_line(layout: Format, names: tuple[str, ...]) -> str:
    """What stands before the first account of a file: nothing, or the names of the columns."""
    return ",".join(names) + "\n" if layout == "csv" else ""


def account_line(layout: Format, fields: Fields) -> str:
    """Return one account as a line, which `read_lines` reads again."""
    return json.dumps(fields) + "\n" if layout == "jsonl" else csv_line(fields)
