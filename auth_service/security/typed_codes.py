"""Codes that people type, in Crockford's base32 with his check character (https://www.crockford.com/base32.html).

A slip of the pen is so found before the database is asked. What is easily misread is read as it was meant.
"""

import math
import re
import unicodedata

GROUP = 5  # characters

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECKS = _DIGITS + "*~$=U"
_MEANT = str.maketrans("ILO", "110")
_SEPARATORS = re.compile(r"[\s\u200b-\u200d\u2060\ufeff\u00ad\u2010-\u2015\u2212-]+")  # a hyphen may become a dash
_SHAPE = re.compile(rf"[{_DIGITS}]+[{re.escape(_CHECKS)}]")


def length_of(size: int) -> int:
    """Return how many characters a code of so many bytes has: with the check character, without hyphens."""
    return math.ceil(size * 8 / 5) + 1


def spell_code(code: bytes) -> str:
    """Return a code as it is told to somebody: `ABCDE-FGHJK-...`, the last character checks the others."""
    number = int.from_bytes(code)
    digits = "".join(_DIGITS[number >> shift & 31] for shift in range(length_of(len(code)) * 5 - 10, -1, -5))
    return in_groups(digits + _CHECKS[number % len(_CHECKS)])


def in_groups(spelled: str) -> str:
    """Return the characters of a code with a hyphen after each five."""
    return "-".join(spelled[at : at + GROUP] for at in range(0, len(spelled), GROUP))


def read_code(text: str, size: int) -> bytes | None:
    """Return a code of so many bytes, however it is typed: in small letters, without hyphens, with O for 0.

    None if it is none.
    """
    typed = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper()
    typed = typed.translate(_MEANT)  # the check character is none of these letters either
    if len(typed) != length_of(size) or not _SHAPE.fullmatch(typed):
        return None
    number = 0
    for digit in typed[:-1]:
        number = number * 32 + _DIGITS.index(digit)
    is_whole = number < 1 << 8 * size and _CHECKS[number % len(_CHECKS)] == typed[-1]
    return number.to_bytes(size) if is_whole else None
