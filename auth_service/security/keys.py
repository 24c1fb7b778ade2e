"""What is derived from the secret key, and what is done with the keys of it."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from auth_service.settings import Settings

KEY_ID_BYTES = 4
_NONCE_BYTES = 12


@dataclass(frozen=True)
class DerivedKeys:
    """What one secret key yields. `id` is public and says which of several secrets made a token."""

    id: bytes
    refresh_tokens: HMAC = field(repr=False)
    signing_keys: bytes = field(repr=False)
    throttles: HMAC = field(repr=False)
    challenges: HMAC = field(repr=False)
    factors: bytes = field(repr=False)
    enrolments: bytes = field(repr=False)


class SecretKeys:
    """The keys derived (HKDF, RFC 5869) from `AUTH_SECRET_KEY`, newest first."""

    def __init__(self, secrets: Sequence[str]) -> None:
        derived = [_derive(secret.encode()) for secret in secrets]
        self.newest = derived[0]
        self._by_id = {keys.id: keys for keys in derived}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls([secret.get_secret_value() for secret in settings.secret_key])

    def find_by_id(self, key_id: bytes) -> DerivedKeys | None:
        return self._by_id.get(key_id)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all that are listed, as rows name them."""
        return frozenset(key_id.hex() for key_id in self._by_id)


def _derive(secret: bytes) -> DerivedKeys:
    def key(purpose: bytes, length: int = 32) -> bytes:
        return hkdf(secret, b"auth-service/1 " + purpose, length)

    return DerivedKeys(
        id=key(b"key id", KEY_ID_BYTES),
        refresh_tokens=HMAC(key(b"refresh tokens"), hashes.SHA256()),
        signing_keys=key(b"signing keys"),
        throttles=HMAC(key(b"throttles"), hashes.SHA256()),
        challenges=HMAC(key(b"challenges"), hashes.SHA256()),
        factors=key(b"factors"),
        enrolments=key(b"enrolments"),
    )


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """Return the bytes that a secret yields for one purpose (RFC 5869)."""
    return HKDF(hashes.SHA256(), length, salt=None, info=info).derive(secret)


def seal(key: bytes, plain: bytes, associated: bytes) -> bytes:
    """Encrypt with AES-256-GCM under a new nonce, bound to what the row is of."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    """Return what was sealed; None if it was not sealed under this key, for this row."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
    except (InvalidTag, ValueError):  # ValueError: not even a nonce
        return None


def hmac_sha256(keyed: HMAC, message: bytes) -> bytes:
    """Return the 32 bytes for a message. To begin anew with the key each time would take longer than the rest."""
    found = keyed.copy()
    found.update(message)
    return found.finalize()


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
