"""Password hashing: Argon2id for what we make, and the formats of the systems that people come from."""

import secrets
from importlib import import_module
from threading import Lock
from typing import Any

from passlib.context import CryptContext
from passlib.hash import bcrypt

from auth_service.identifiers import password_spellings
from auth_service.security import argon2_build
from auth_service.security.firebase_scrypt import FirebaseScrypt
from auth_service.security.foreign_hashes import library_form
from auth_service.security.hash_costs import recipe, refuse_too_dear
from auth_service.settings import PasswordSettings

UNUSABLE = "!"  # stored for an account without a password: no login opens it, until a reset sets one
LONGEST = 512  # characters, as the column holds
BCRYPT_BYTES = 72
DIGEST_BYTES = 32
FOREIGN_SCHEMES = [
    "bcrypt", "bcrypt_sha256", "django_bcrypt_sha256", "pbkdf2_sha1", "pbkdf2_sha256", "pbkdf2_sha512", "scrypt",
]  # fmt: skip
# The library takes some of what is malformed for a mistake of the program.
_MALFORMED = (ValueError, TypeError)
_BCRYPT = Lock()


class Passwords:
    """Hashes and verifies passwords. Slow on purpose: to be called in the hashing lane."""

    def __init__(self, settings: PasswordSettings) -> None:
        key = settings.firebase_signer_key
        firebase = [FirebaseScrypt.with_key(key.get_secret_value())] if key else []
        self._has_firebase = bool(firebase)
        argon2_build.choose()
        self._context: Any = CryptContext(
            schemes=["argon2", *FOREIGN_SCHEMES, *firebase],
            deprecated="auto",
            argon2__type="ID",
            argon2__memory_cost=settings.argon2_memory_kib,
            argon2__time_cost=settings.argon2_time_cost,
            argon2__parallelism=settings.argon2_parallelism,
        )
        self._own_kib = settings.argon2_memory_kib
        self._own_written_kib = settings.argon2_memory_kib * settings.argon2_time_cost
        own = self._context.handler("argon2")
        own.set_backend()  # not in the lane: two threads could both be the first to need it, which ends in an error
        # Verified like any hash of the current parameters, and that of no password: to make one would cost a hash.
        self._decoy: str = own(use_defaults=True, checksum=secrets.token_bytes(DIGEST_BYTES)).to_string()

    def try_out(self) -> None:
        """Fill the memory of a hash once, so that a server whose Argon2 does not run here does not even start.

        One whose bcrypt is missing does not either; that library's own tests take as long as a hash, and wait for one.
        """
        import_module("bcrypt")
        self._context.handler("argon2").using(time_cost=1).hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """Return a hash in PHC string format, with a random salt, of a password in canonical form."""
        hashed: str = self._context.hash(password)
        return hashed

    def adopt(self, stored: str) -> str:
        """Return what to store for an account that comes from another system with this hash, which costs no hashing.

        A marker for "no password" (Django's, which starts with `!`) becomes `UNUSABLE`.

        Raises:
            ValueError: it could not be verified, or only at a cost that no client should be able to cause. The
                message says what was expected and repeats nothing of it.
        """
        if stored.startswith(UNUSABLE):
            return UNUSABLE
        if len(stored) > LONGEST:
            raise ValueError(f"The hash may be at most {LONGEST} characters long.")
        if stored.startswith(FirebaseScrypt.ident) and not self._has_firebase:
            raise ValueError("A Firebase hash needs the setting AUTH_PASSWORD__FIREBASE_SIGNER_KEY.")
        _, parsed = self._read(stored)
        refuse_too_dear(parsed, self._own_kib, self._own_written_kib)
        return stored

    def recipe(self, hashed: str | None) -> str:
        """Return the scheme and the parameters of a stored hash, which are what verifying it costs."""
        return recipe(self._read(self._verifiable(hashed) or self._decoy)[1])

    def is_outdated(self, hashed: str) -> bool:
        """Return whether a login renews a stored hash; raises ValueError if it cannot be read."""
        return bool(self._context.needs_update(self._read(hashed)[0]))

    def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Return whether a password, as it was given, is right, and a new hash if the stored one is outdated.

        Each of its spellings is compared until one is right, whatever the hash. Without a stored hash that can be read
        (no such account, or one without a password) a decoy of the current parameters is verified, so that the answer
        takes as long.
        """
        form = self._verifiable(hashed)
        canonical, *_ = spellings = password_spellings(password)
        right = next((spelling for spelling in spellings if self._is_right(spelling, form or self._decoy)), None)
        if right is None or form is None:
            return False, None
        is_outdated = right != canonical or self._context.needs_update(form)
        return True, self.hash(canonical) if is_outdated else None

    def _verifiable(self, hashed: str | None) -> str | None:
        """Return a stored hash in the library's form, or None."""
        try:
            return self._read(hashed)[0] if hashed else None
        except ValueError:
            return None

    def _read(self, stored: str) -> tuple[str, Any]:
        """Return a stored hash in the library's form, and parsed.

        Raises:
            ValueError: it cannot be read.
        """
        form = library_form(stored)
        try:
            parsed = self._context.handler(self._context.identify(form, required=True)).from_string(form)
        except _MALFORMED:
            raise ValueError("The hash is not well-formed.") from None
        if not parsed.checksum:
            raise ValueError("The hash has no digest.")
        return form, parsed

    def _is_right(self, password: str, form: str) -> bool:
        secret, scheme = password.encode(), self._context.identify(form)
        if "bcrypt" in scheme:
            with _BCRYPT:  # as for Argon2: two threads could both be the first to need it
                bcrypt.set_backend()
        if scheme == "bcrypt":  # which never looked at more; the hash that replaces it covers all
            secret = secret[:BCRYPT_BYTES]
        try:
            return bool(self._context.verify(secret, form))
        except (ValueError, OverflowError):  # a NUL in the password, for bcrypt; parameters beyond all bounds
            return False
