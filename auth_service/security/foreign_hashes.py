"""Hashes as other systems write them, in the form that the library verifies: the same parameters, salt and digest.

PBKDF2 and scrypt compute their output in blocks, each without regard to how many follow. A longer digest than the
library compares is therefore cut to the first block, which is as hard to meet as all of them.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable

_PBKDF2 = {"sha1": ("pbkdf2", 20), "sha256": ("pbkdf2-sha256", 32), "sha512": ("pbkdf2-sha512", 64)}
_BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SCRYPT_BYTES = 32
_PARTS = {
    "DIGEST": "(" + "|".join(_PBKDF2) + ")",
    "N": r"([0-9]{1,10})",
    "TEXT": r"([^$\x00-\x1f\x7f\ud800-\udfff]+)",  # a salt that is used as it is written
    "BASE64": r"([A-Za-z0-9+/._-]+)={0,2}",
    "PLAIN": "([A-Za-z0-9+/]+)",
    "SALT": r"[./A-Za-z0-9]{21}",
    "ANY": r"[./A-Za-z0-9]",
    "SUM": r"[./A-Za-z0-9]{30}[.CGKOSWaeimquy26]",
    "HEX": r"((?:[0-9a-f]{2})+)",
}


def library_form(stored: str) -> str:
    """Return a stored hash as the library writes it, which is as it is for the library's own kinds.

    Raises:
        ValueError: of no kind that is known, or not well-formed; the message repeats nothing of it.
    """
    for pattern, form in _FORMS:
        found = pattern.fullmatch(stored)
        if found:
            return form(*found.groups())
    raise ValueError("This kind of hash is not supported.")


def unpadded(data: bytes) -> str:
    """Return standard base64 without its padding, as hashes are written."""
    return b64encode(data).decode().rstrip("=")


def from_base64(text: str) -> bytes:
    """Return the bytes of base64 in any of its alphabets (`+/`, `-_` and `./`), padded or not.

    Raises:
        ValueError: not base64.
    """
    plain = text.rstrip("=").translate(str.maketrans("-_.", "+/+"))
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise ValueError("The salt and the digest must be base64.") from None


def _pbkdf2(digest: str, rounds: str, salt: bytes, found: bytes) -> str:
    name, size = _PBKDF2[digest]
    written = [unpadded(part).replace("+", ".") for part in (salt, _first(size, found))]
    return "$".join(["", name, str(int(rounds)), *written])


def _scrypt(blocks: int, r: str, p: str, salt: bytes, found: bytes) -> str:
    if blocks < 2 or blocks & (blocks - 1):  # noqa: PLR2004
        raise ValueError("The cost of a scrypt hash must be a power of two.")
    parameters = f"ln={blocks.bit_length() - 1},r={int(r)},p={int(p)}"
    return "$".join(["", "scrypt", parameters, unpadded(salt), unpadded(_first(_SCRYPT_BYTES, found))])


def _first(size: int, digest: bytes) -> bytes:
    if len(digest) < size:
        raise ValueError(f"A digest of this kind must have at least {size} bytes.")
    return digest[:size]


def _of_text(digest: str, rounds: str, salt: str, found: str) -> str:
    return _pbkdf2(digest, rounds, salt.encode(), from_base64(found))


def _of_werkzeug(digest: str, rounds: str, salt: str, found: str) -> str:
    return _pbkdf2(digest, rounds, salt.encode(), bytes.fromhex(found))


def _of_bytes(digest: str | None, rounds: str, salt: str, found: str) -> str:
    return _pbkdf2(digest or "sha1", rounds, from_base64(salt), from_base64(found))


def _scrypt_of_django(n: str, salt: str, r: str, p: str, found: str) -> str:
    return _scrypt(int(n), r, p, salt.encode(), from_base64(found))


def _scrypt_of_werkzeug(n: str, r: str, p: str, salt: str, found: str) -> str:
    return _scrypt(int(n), r, p, salt.encode(), bytes.fromhex(found))


def _scrypt_of_bytes(ln: str, r: str, p: str, salt: str, found: str) -> str:
    return _scrypt(1 << min(int(ln), 99), r, p, from_base64(salt), from_base64(found))


def _bcrypt(start: str, last: str, checksum: str) -> str:
    """Clear the bits of the salt's last character that mean nothing; some systems left what was there."""
    return start + ".Oeu"[_BCRYPT_ALPHABET.index(last) >> 4] + checksum


def _itself(form: str, *_parts: str) -> str:
    return form


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub("|".join(_PARTS), lambda word: _PARTS[word[0]], template))


_FORMS: list[tuple[re.Pattern[str], Callable[..., str]]] = [
    # Django's are named by their hasher; its bcrypt and Argon2 have only that name before the usual form.
    (_pattern(r"pbkdf2_DIGEST\$N\$TEXT\$BASE64"), _of_text),
    (_pattern(r"scrypt\$N\$TEXT\$N\$N\$BASE64"), _scrypt_of_django),
    (_pattern(r"(?:bcrypt\$)?(\$2[aby]?\$[0-9]{2}\$SALT)(ANY)(SUM)"), _bcrypt),
    (_pattern(r"(?:argon2)?(\$argon2(?:i|d|id)\$(?:v=19\$)?m=N,t=N,p=N\$PLAIN\$PLAIN)"), _itself),
    (_pattern(r"(bcrypt_sha256\$\$2[aby]\$[0-9]{2}\$SALT)(ANY)(SUM)"), _bcrypt),
    # Werkzeug
    (_pattern(r"pbkdf2:DIGEST:N\$TEXT\$HEX"), _of_werkzeug),
    (_pattern(r"scrypt:N:N:N\$TEXT\$HEX"), _scrypt_of_werkzeug),
    # passlib, and the PHC string format
    (_pattern(r"\$pbkdf2(?:-DIGEST)?\$(?:i=)?N(?:,l=[0-9]+)?\$BASE64\$BASE64"), _of_bytes),
    (_pattern(r"\$scrypt\$ln=N,r=N,p=N\$BASE64\$BASE64"), _scrypt_of_bytes),
    (_pattern(r"(\$7\$[!-~]+)"), _itself),
    (_pattern(r"(\$bcrypt-sha256\$(?:v=2,t=2b,r=|2[ab],)[0-9]{1,2}\$SALT[.Oeu]\$SUM)"), _itself),
    (_pattern(r"(\$firebase-scrypt\$[!-~]+)"), _itself),
]
