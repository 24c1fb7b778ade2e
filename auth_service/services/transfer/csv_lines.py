"""Accounts in CSV: a header, a row to a line, and cells that no spreadsheet runs as formulas."""

import csv
import io
from collections.abc import Callable
from typing import Any

from auth_service.errors import Reason
from auth_service.services.transfer.fields import (
    FIELDS,
    Fields,
    LineFault,
    LineFaults,
    LineReason,
    RefusedLine,
    UnreadableFile,
)

_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet runs; any address may begin so
_TEXT = "'"  # before one of them, and before itself: a cell is text whatever it looks like
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NO_CSV = "The line is not CSV: check its quotes."
_NO_TEXT = (
    "Begins with an apostrophe, as in an export of Auth0, which puts one before each text: take its JSON export, or "
    "remove them. An address that has one is written with two."
)


def csv_reader(first: bytes) -> Callable[[str, LineFaults], Fields]:
    """Return what reads a row below this header. No value has a line break in it, so a quote cannot swallow lines.

    Raises:
        UnreadableFile: the header is not usable, so that no line can be read.
    """
    header = _header(first)
    for number, name in enumerate(header, 1):
        if name not in FIELDS:  # and not said again: it is a value where a file has no header
            raise UnreadableFile(f"Column {number} of the first line is none of these: {', '.join(FIELDS)}.")
    if "email" not in header or len(set(header)) < len(header):
        raise UnreadableFile("The first line must name each column once, including 'email'.")

    def parse(text: str, faults: LineFaults) -> Fields:
        cells = _cells(text)
        if len(cells) != len(header):
            sentence = f"The header has {len(header)} cells, and the line {len(cells)}."
            raise RefusedLine(LineFault(None, LineReason.INVALID_LINE, sentence))
        found: dict[str, str] = {}
        for name, cell in zip(header, cells, strict=True):
            with faults:
                found[name] = _unmarked(name, cell)
        return found

    return parse


def csv_line(values: Fields) -> str:
    """Return one account as a line, which `csv_reader` reads again."""
    line = io.StringIO()
    cells = (str(cell).lower() if isinstance(cell, bool) else _marked(cell) for cell in values.values())
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _marked(cell: Any) -> Any:
    """Keep a spreadsheet from running a cell (ASVS 5.0, 1.2.10); `_unmarked` is the way back."""
    return _TEXT + cell if isinstance(cell, str) and cell.startswith((*_FORMULA, _TEXT)) else cell


def _unmarked(name: str, cell: str) -> str:
    if not cell.startswith(_TEXT):
        return cell
    if not cell[1:].startswith((*_FORMULA, _TEXT)):
        raise RefusedLine(LineFault(name, Reason.INVALID_CHARACTER, _NO_TEXT))
    return cell[1:]


def _cells(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise RefusedLine(LineFault(None, LineReason.INVALID_LINE, _NO_CSV)) from None


def _header(first: bytes) -> list[str]:
    try:
        text = first.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
        cells = _cells(text)
    except UnicodeDecodeError:
        raise UnreadableFile("The first line is not UTF-8.") from None
    except RefusedLine:
        raise UnreadableFile(_NO_CSV) from None
    for separator, name in _SEPARATORS.items():
        if separator in text and set(text.replace('"', "").split(separator)) & set(FIELDS):
            raise UnreadableFile(f"The cells are separated by {name}: an import takes commas.")
    return cells
