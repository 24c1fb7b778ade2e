"""The files that accounts travel in: JSON lines and CSV, an account to a line, of which no more than one is kept."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Literal

Format = Literal["jsonl", "csv"]
Fields = Mapping[str, Any]

FIELDS = ("email", "username", "role", "is_active", "is_verified", "created_at", "hashed_password")
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet runs; any address may begin so
_TEXT = "'"  # before one of them, and before itself: a cell is text whatever it looks like
LONGEST_LINE = 16 * 1024  # bytes; an account is far shorter


class RefusedLine(ValueError):  # noqa: N818  # an answer, as in errors.py
    """A line that cannot be taken: which field, as far as one is to blame, and why. It never holds what was read."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


@dataclass(frozen=True)
class Line:
    """A line by its number in the file, from 1 on: its fields, or why there are none."""

    number: int
    content: Fields | RefusedLine


def read_lines(stream: IO[bytes], layout: Format, resume_from: int = 1) -> Iterator[Line]:
    """Yield the accounts of a file from this line on. Empty lines are passed over.

    Raises:
        RefusedLine: a CSV file has no usable header, so that no line of it can be read.
    """
    parse, first = (_json_object, 1) if layout == "jsonl" else (_csv_reader(stream), 2)
    for number, raw in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 1), b""), first):
        if len(raw) > LONGEST_LINE:
            _skip_rest(stream)
        if number >= resume_from and raw.strip():
            yield Line(number, _content(raw, parse))


def _content(raw: bytes, parse: Callable[[str], Fields]) -> Fields | RefusedLine:
    if len(raw) > LONGEST_LINE:
        return RefusedLine(f"The line is longer than {LONGEST_LINE} bytes.")
    try:
        return parse(_text(raw))
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
    return _known(found)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedLine("A field is repeated.")
    return found


def _csv_reader(stream: IO[bytes]) -> Callable[[str], Fields]:
    """Read the header; return what reads a row. No value has a line break in it, so a quote cannot swallow lines."""
    header = _csv_row(_text(stream.readline(LONGEST_LINE)).removeprefix("\ufeff"))
    _known(dict.fromkeys(header))
    if "email" not in header or len(set(header)) < len(header):
        raise RefusedLine("The first line must name each column once, including 'email'.")

    def parse(text: str) -> Fields:
        cells = _csv_row(text)
        if len(cells) != len(header):
            raise RefusedLine(f"The line has {len(cells)} cells, but the header has {len(header)}.")
        return {name: _unmarked(cell) or None for name, cell in zip(header, cells, strict=True)}

    return parse


def _marked(cell: Any) -> Any:
    """Keep a spreadsheet from running a cell (ASVS 5.0, 1.2.10); `_unmarked` is the way back."""
    return _TEXT + cell if isinstance(cell, str) and cell.startswith((*_FORMULA, _TEXT)) else cell


def _unmarked(cell: str) -> str:
    return cell[1:] if cell.startswith(_TEXT) and cell[1:].startswith((*_FORMULA, _TEXT)) else cell


def _csv_row(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise RefusedLine("The line is not CSV: check its quotes.") from None


def _known(fields: dict[str, Any]) -> Fields:
    if not fields.keys() <= set(FIELDS):
        raise RefusedLine(f"Only these fields are allowed: {', '.join(FIELDS)}.")
    return fields


def header_line(layout: Format, names: tuple[str, ...]) -> str:
    """What stands before the first account of a file: nothing, or the names of the columns."""
    return ",".join(names) + "\n" if layout == "csv" else ""


def account_line(layout: Format, fields: Fields) -> str:
    """Return one account as a line, which `read_lines` reads again."""
    if layout == "jsonl":
        return json.dumps(fields) + "\n"
    line = io.StringIO()
    cells = (str(cell).lower() if isinstance(cell, bool) else _marked(cell) for cell in fields.values())
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
