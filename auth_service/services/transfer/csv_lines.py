"""Accounts in CSV: a header, a row to a line, and cells that no spreadsheet runs as formulas."""

import csv
import io
from collections.abc import Callable
from typing import Any

from auth_service.services.transfer.fields import FIELDS, Fields, RefusedLine

_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet runs; any address may begin so
_TEXT = "'"  # before one of them, and before itself: a cell is text whatever it looks like
_NO_TEXT = (
    "Begins with an apostrophe, as in an export of Auth0, which puts one before each text: take its JSON export, or "
    "remove them. An address that has one is written with two."
)


def csv_reader(header_line: str) -> Callable[[str], Fields]:
    """Return what reads a row below this header. No value has a line break in it, so a quote cannot swallow lines.

    Raises:
        RefusedLine: the header is not usable, so that no line can be read.
    """
    header = _cells(header_line)
    for number, name in enumerate(header, 1):
        if name not in FIELDS:  # and not said again: it is a value where a file has no header
            raise RefusedLine(f"Column {number} of the first line is none of these: {', '.join(FIELDS)}.")
    if "email" not in header or len(set(header)) < len(header):
        raise RefusedLine("The first line must name each column once, including 'email'.")

    def parse(text: str) -> Fields:
        cells = _cells(text)
        if len(cells) != len(header):
            raise RefusedLine(f"The line has {len(cells)} cells, but the header has {len(header)}.")
        return {name: _unmarked(name, cell) for name, cell in zip(header, cells, strict=True)}

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
        raise RefusedLine(_NO_TEXT, name)
    return cell[1:]


def _cells(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise RefusedLine("The line is not CSV: check its quotes.") from None
