"""Recovery codes: ten random codes that people print and type. `typed_codes.py` spells them."""

import hashlib
import secrets

from auth_service.security.typed_codes import BYTES

AT_ONCE = 10


def new_recovery_codes() -> list[bytes]:
    return [secrets.token_bytes(BYTES) for _ in range(AT_ONCE)]


def hash_recovery_code(code: bytes) -> bytes:
    """The form in which a code is stored. A plain hash will do: the input cannot be guessed (OWASP ASVS 6.5.2)."""
    return hashlib.sha256(code).digest()
