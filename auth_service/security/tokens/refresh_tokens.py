"""The refresh token that a client holds: `art_` + base64url(key id, secret, generation, tag).

The secret is 32 random bytes that live on the client alone; the database keeps their SHA-256. The tag is an HMAC under
a key that is never in the database. So neither the database nor the secret key is enough to make a token, a forged one
costs no query, and the successor of a token can be computed again for a client that lost it.
"""

import base64
import hashlib
import hmac
import re
import secrets
import struct
from dataclasses import dataclass, field
from functools import cached_property

from auth_service.security.keys import KEY_ID_BYTES, DerivedKeys, SecretKeys, base64url, hmac_sha256

PREFIX = "art_"
SECRET_BYTES = 32
TAG_BYTES = 16
MAX_GENERATION = 2**32 - 2

_LAYOUT = struct.Struct(f">{KEY_ID_BYTES}s{SECRET_BYTES}sI{TAG_BYTES}s")
_SHAPE = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{75}")


@dataclass(frozen=True)
class PresentedToken:
    """What a well-formed token with a valid tag says."""

    secret: bytes = field(repr=False)
    generation: int

    @cached_property
    def secret_hash(self) -> bytes:
        return hash_secret(self.secret)


class RefreshTokenCodec:
    """Makes and reads the tokens that clients hold."""

    def __init__(self, keys: SecretKeys) -> None:
        self._keys = keys

    def issue(self, secret: bytes, generation: int) -> str:
        """Return the one token of this secret and generation under the newest key."""
        keys = self._keys.newest
        packed = _LAYOUT.pack(keys.id, secret, generation, _tag(keys, secret, generation))
        return PREFIX + base64url(packed)

    def read(self, token: str) -> PresentedToken | None:
        """Return what the token says, or None if we did not make it (wrong shape, unknown key, wrong tag)."""
        if not _SHAPE.fullmatch(token):
            return None
        packed = base64.urlsafe_b64decode(token.removeprefix(PREFIX) + "=")
        if base64url(packed) != token.removeprefix(PREFIX):
            return None  # the unused bits of the last character must be zero: one token, one spelling
        key_id, secret, generation, tag = _LAYOUT.unpack(packed)
        keys = self._keys.find_by_id(key_id)
        if keys is None or generation > MAX_GENERATION or not hmac.compare_digest(tag, _tag(keys, secret, generation)):
            return None
        return PresentedToken(secret, generation)


def looks_like_refresh_token(token: str) -> bool:
    """Which of the two kinds a token claims to be; an access token has no such beginning."""
    return token.startswith(PREFIX)


def new_secret() -> bytes:
    """Return a secret for a new session: 256 random bits (OWASP ASVS 7.2.3 asks for 128)."""
    return secrets.token_bytes(SECRET_BYTES)


def hash_secret(secret: bytes) -> bytes:
    """The form in which a secret or an idempotency key is stored. A plain hash will do: the input cannot be guessed."""
    return hashlib.sha256(secret).digest()


def _tag(keys: DerivedKeys, secret: bytes, generation: int) -> bytes:
    return hmac_sha256(keys.refresh_tokens, keys.id + secret + generation.to_bytes(4, "big"))[:TAG_BYTES]
