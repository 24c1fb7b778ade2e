"""Password hashing: Argon2id for what we make, and the formats of the systems that people come from."""

import re
import secrets
from typing import Any

from passlib.context import CryptContext

from auth_service.settings import PasswordSettings

BCRYPT_BYTES = 72
LEGACY_SCHEMES = [
    "bcrypt",
    "bcrypt_sha256",
    "pbkdf2_sha256",
    "pbkdf2_sha512",
    "scrypt",
    "django_argon2",
    "django_bcrypt",
    "django_bcrypt_sha256",
    "django_pbkdf2_sha256",
    "django_pbkdf2_sha1",
]
# `m=19456,t=2,p=1`, or the rounds alone: a field of a hash that is neither its scheme, nor its salt, nor its digest.
_PARAMETERS = re.compile(r"\d+|[a-z]+=\w+(,[a-z]+=\w+)*")


class Passwords:
    """Hashes and verifies passwords in canonical form. Slow on purpose: to be called in the hashing lane."""

    def __init__(self, settings: PasswordSettings) -> None:
        self._context: Any = CryptContext(
            schemes=["argon2", *LEGACY_SCHEMES],
            deprecated="auto",
            argon2__type="ID",
            argon2__memory_cost=settings.argon2_memory_kib,
            argon2__time_cost=settings.argon2_time_cost,
            argon2__parallelism=settings.argon2_parallelism,
        )
        self._decoy = self.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """Return a hash in PHC string format, with a random salt."""
        hashed: str = self._context.hash(password)
        return hashed

    def recipe(self, hashed: str | None) -> str:
        """Return the scheme and the parameters of a stored hash, which are what verifying it costs."""
        stored = hashed or self._decoy
        parameters = filter(_PARAMETERS.fullmatch, stored.split("$"))
        return "$".join([self._context.identify(stored) or "unreadable", *parameters])

    def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Return whether the password is right, and a new hash if the stored one is outdated.

        Without a stored hash (no such account) a decoy of the current parameters is verified, so that the answer takes
        as long. A stored hash that cannot be read is a wrong password.
        """
        try:
            right, replacement = self._verify(password, hashed or self._decoy)
        except ValueError:
            return False, None
        return right and hashed is not None, replacement

    def _verify(self, password: str, hashed: str) -> tuple[bool, str | None]:
        secret = password.encode()
        if len(secret) > BCRYPT_BYTES and self._context.identify(hashed) in {"bcrypt", "django_bcrypt"}:
            # bcrypt looked at 72 bytes when this hash was made; its replacement covers the whole password.
            right = self._context.verify(secret[:BCRYPT_BYTES], hashed)
            return right, self.hash(password) if right else None
        right, replacement = self._context.verify_and_update(password, hashed)
        return right, replacement
