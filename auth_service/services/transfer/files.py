"""What a file is that cannot be read line by line, as its first line shows: said by name, with what to do."""

import re
from typing import Literal

from auth_service.services.transfer.fields import UnreadableFile, printable_name

Format = Literal["jsonl", "csv"]

_CONVERT = "The file is {0}, and an import takes UTF-8: convert it first, such as by iconv -f {0} -t UTF-8 FILE."
_UNPACK = "The file is {}: unpack it first."
_SPREADSHEET = "The file is a spreadsheet or a ZIP archive: save it as CSV in UTF-8, or unpack it first."
_BEGINNINGS = {  # the longer ones first
    b"\xff\xfe\0\0": _CONVERT.format("UTF-32"),
    b"\0\0\xfe\xff": _CONVERT.format("UTF-32"),
    b"\xff\xfe": _CONVERT.format("UTF-16"),
    b"\xfe\xff": _CONVERT.format("UTF-16"),
    b"PK\x03\x04": _SPREADSHEET,
    b"\xd0\xcf\x11\xe0": _SPREADSHEET,
    b"\x1f\x8b": _UNPACK.format("compressed by gzip"),
    b"BZh": _UNPACK.format("compressed by bzip2"),
    b"\xfd7zXZ": _UNPACK.format("compressed by xz"),
    b"\x28\xb5\x2f\xfd": _UNPACK.format("compressed by zstd"),
}
# Without a mark: every letter of ASCII has zeros beside it.
_ZEROS = {
    re.compile(rb"\0\0\0[^\0]"): _CONVERT.format("UTF-32BE"),
    re.compile(rb"[^\0]\0\0\0"): _CONVERT.format("UTF-32LE"),
    re.compile(rb"\0[^\0]"): _CONVERT.format("UTF-16BE"),
    re.compile(rb"[^\0]\0"): _CONVERT.format("UTF-16LE"),
}
_OLD_MAC = r"The file ends its lines with a carriage return alone: convert it first, such as by tr '\r' '\n' < FILE."
# How a whole document begins: with a list, or with an object that goes on in the next line or whose value is a list.
_DOCUMENT = re.compile(r'\s*(?:\[|\{\s*(?:"(?P<list>[^"]*)"\s*:\s*\[|(?:"[^"]*"\s*:\s*\{?)?\s*$))')
_JSON_AS_CSV = "The file has JSON lines, and no CSV: use --format jsonl."


def refuse_other_files(first: bytes, layout: Format) -> None:
    """Raise `UnreadableFile` if the first line of a file shows that it is something else than lines of this format."""
    for beginning, sentence in _BEGINNINGS.items():
        if first.startswith(beginning):
            raise UnreadableFile(sentence)
    for zeros, sentence in _ZEROS.items():
        if zeros.match(first):
            raise UnreadableFile(sentence)
    if b"\r" in first.rstrip(b"\r\n"):
        raise UnreadableFile(_OLD_MAC)
    text = first.decode("utf-8", "replace").removeprefix("\ufeff")
    if layout == "csv" and text.startswith("{"):
        raise UnreadableFile(_JSON_AS_CSV)
    if layout == "jsonl" and (found := _DOCUMENT.match(text)):
        name = printable_name(found["list"] or "")
        raise UnreadableFile(
            "The file is one JSON document; an import takes one account on each line. Make lines of it first, such as "
            f"by jq -c '.{name or ''}[] | {{email}}' FILE; docs/importing.md has the whole command for many systems."
        )
