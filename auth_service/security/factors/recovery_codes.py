"""Recovery codes: ten random codes that people print and type. `typed_codes.py` spells them."""

import hashlib
import secrets

from auth_service.security import typed_codes

AT_ONCE = 10
BYTES = 15  # 120 bits


def new_recovery_codes() -> list[bytes]:
    return [secrets.token_bytes(BYTES) for _ in range(AT_ONCE)]


def read_recovery_code(text: str) -> bytes | None:
    """Return the code, however it is typed. None if it is none."""
    return typed_codes.read_code(text, BYTES)


def hash_recovery_code(code: bytes) -> bytes:
    """The form in which a code is stored. A plain hash will do: the input cannot be guessed (OWASP ASVS 6.5.2)."""
    return hashlib.sha256(code).digest()
