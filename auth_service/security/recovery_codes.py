"""Recovery codes: 120 random bits in Crockford's base32, with his check character (https://www.crockford.com/base32.html).

A slip of the pen is so found before the database is asked. What is easily misread is read as it was meant.
"""

import hashlib
import re
import secrets

AT_ONCE = 10
BYTES = 15
GROUP = 5  # characters

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECKS = _DIGITS + "*~$=U"
_LENGTH = BYTES * 8 // 5
_MEANT = str.maketrans("ILO", "110")
_SEPARATORS = re.compile(r"[\s-]+")
_SHAPE = re.compile(rf"[{_DIGITS}]{{{_LENGTH}}}[{re.escape(_CHECKS)}]")


def new_recovery_codes() -> list[bytes]:
    return [secrets.token_bytes(BYTES) for _ in range(AT_ONCE)]


def spell_recovery_code(code: bytes) -> str:
    """Return a code as it is told to its owner: `ABCDE-FGHJK-...`, the last character checks the others."""
    number = int.from_bytes(code)
    digits = "".join(_DIGITS[number >> shift & 31] for shift in range(_LENGTH * 5 - 5, -1, -5))
    spelled = digits + _CHECKS[number % len(_CHECKS)]
    return "-".join(spelled[at : at + GROUP] for at in range(0, len(spelled), GROUP))


def read_recovery_code(text: str) -> bytes | None:
    """Return the code, however it is typed: in small letters, without hyphens, with O for 0. None if it is none."""
    typed = _SEPARATORS.sub("", text).upper()
    typed = typed.translate(_MEANT)  # the check character is none of these letters either
    if not _SHAPE.fullmatch(typed):
        return None
    number = 0
    for digit in typed[:-1]:
        number = number * 32 + _DIGITS.index(digit)
    return number.to_bytes(BYTES) if _CHECKS[number % len(_CHECKS)] == typed[-1] else None


def hash_recovery_code(code: bytes) -> bytes:
    """The form in which a code is stored. A plain hash will do: the input cannot be guessed (OWASP ASVS 6.5.2)."""
    return hashlib.sha256(code).digest()
