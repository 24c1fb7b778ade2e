"""Is a password one of those that leaked or that everybody takes? A file answers, offline, and is read in place.

The file holds no passwords but fingerprints of 40 bits, the first of SHA-256. The upper 16 choose one of 65,536
buckets, the lower 24 stand in it:

    8 bytes                MAGIC
    65,537 x 4 bytes       where each bucket begins, counted in fingerprints, and where the last one ends; little-endian
    3 bytes for each word  the lower 24 bits

So another word is taken for one of `n` listed ones with a probability of n / 2^40.
"""

import hashlib
import mmap
import os
import struct
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Self

MAGIC = b"AUTHBL1\n"
BUCKETS = 1 << 16
STORED = 3  # bytes of a fingerprint that stand in its bucket
SHIPPED = Path(__file__).with_name("blocklist.bin")
_INDEX = struct.Struct(f"<{BUCKETS + 1}I")
_HEADER = len(MAGIC) + _INDEX.size


class Blocklist:
    """A set of words that says `word in blocklist` without regard to case."""

    def __init__(self, table: bytes | mmap.mmap) -> None:
        self._table = table

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """Map the file into memory, or make the table from a text with a word on each line; None: the shipped file.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is empty, an archive, or a table that is not whole.
        """
        path = path or SHIPPED
        table = is_table(path)
        with path.open("rb") as file:
            return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if table else encode(lines(file)))

    @property
    def count(self) -> int:
        """The number of words."""
        return (len(self._table) - _HEADER) // STORED

    def __contains__(self, word: str) -> bool:
        found = _fingerprint(word)
        at = len(MAGIC) + 4 * int.from_bytes(found[:2])
        first, end = struct.unpack_from("<2I", self._table, at)
        bucket = self._table[_HEADER + STORED * first : _HEADER + STORED * end]
        return any(bucket[n : n + STORED] == found[2:] for n in range(0, len(bucket), STORED))


def is_table(path: Path) -> bool:
    """Return whether a file is a table, rather than a text; reads no more than its beginning.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty, an archive, or a table that is not whole.
    """
    with path.open("rb") as file:
        head, size = file.read(_HEADER), os.fstat(file.fileno()).st_size
    if not head:
        raise ValueError("must not be empty")
    if not head.startswith(MAGIC):
        if b"\0" in head:  # an archive, most likely, which would let every password through
            raise ValueError("must be a text with one password per line, or a table")
        return False
    if size != _HEADER + STORED * int.from_bytes(head[-4:], "little"):
        raise ValueError("must be a complete table")
    return True


def encode(words: Iterable[str]) -> bytes:
    """Return the table of these words. It is the same for the same words, in whatever order and case they come."""
    prints = sorted({_fingerprint(word) for word in words})
    sizes = [0] * BUCKETS
    for one in prints:
        sizes[int.from_bytes(one[:2])] += 1
    index = _INDEX.pack(*accumulate(sizes, initial=0))
    return MAGIC + index + b"".join(one[2:] for one in prints)


def fold(text: str) -> str:
    """The form in which words are compared, and in which nothing is ever stored: NFC, case-folded."""
    return unicodedata.normalize("NFC", text.casefold())


def _fingerprint(word: str) -> bytes:
    return hashlib.sha256(fold(word).encode()).digest()[: 2 + STORED]


def lines(file: Iterable[bytes]) -> Iterator[str]:
    """The words of a text. A line that is empty or not UTF-8 is no password here."""
    for line in file:
        with suppress(UnicodeDecodeError):
            yield from filter(None, [line.rstrip(b"\r\n").decode()])
