"""Password hashing: Argon2id for what we make, and the formats of the systems that people come from."""

import secrets
from contextlib import suppress
from importlib import import_module
from threading import Lock, local
from typing import Any, NamedTuple

from passlib.context import CryptContext
from passlib.hash import bcrypt

from auth_service.models.accounts import UNUSABLE
from auth_service.security.passwords import argon2_build
from auth_service.security.passwords.firebase_scrypt import FirebaseScrypt
from auth_service.security.passwords.foreign_hashes import library_form
from auth_service.security.passwords.foreign_schemes import FOREIGN_SCHEMES
from auth_service.security.passwords.hash_costs import recipe, refuse_too_dear
from auth_service.security.passwords.hash_faults import fault_of
from auth_service.security.passwords.prepared_passwords import MissingSecretError, Prepare, as_it_is, preparation
from auth_service.security.passwords.spellings import canonical_password, password_spellings
from auth_service.settings import PasswordSettings

LONGEST = 512  # characters, as the column holds
BCRYPT_BYTES = 72
# Of schemes that hash the password itself in each round, so that a long one costs many times as much.
ROUND_BY_ROUND = {"sha256_crypt", "sha512_crypt", "md5_crypt", "apr_md5_crypt", "phpass", "drupal_sha512"}
LONGEST_SECRET = 512  # bytes, as crypt takes them
DIGEST_BYTES = 32
_OWN = "$argon2id$"
_AS_OF_ANOTHER = "argon2"  # before it, as Django has it: another system's, however alike the parameters are
# The library takes some of what is malformed for a mistake of the program.
_MALFORMED = (ValueError, TypeError)
_BCRYPT = Lock()


class _Stored(NamedTuple):
    """A stored hash in the library's form, and parsed; what is done to a password first; and whether it is our own."""

    form: str
    parsed: Any
    prepare: Prepare = as_it_is
    is_own: bool = True


class Comparison(NamedTuple):
    """A password that is given, in each of the `spellings` that are compared with a stored hash, or with a decoy."""

    spellings: tuple[str, ...]
    stored: _Stored
    is_decoy: bool

    @property
    def recipe(self) -> str:
        """The scheme and the parameters of the hash, which are what one spelling costs."""
        return recipe(self.stored.parsed)


class Passwords:
    """Hashes and verifies passwords. Slow on purpose: to be called in the hashing lane."""

    def __init__(self, settings: PasswordSettings) -> None:
        key = settings.firebase_signer_key
        firebase = [FirebaseScrypt.with_key(key.get_secret_value())] if key else []
        self._has_firebase = bool(firebase)
        pepper = settings.imported_pepper
        self._pepper = pepper.get_secret_value().encode() if pepper else b""
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
        self._threads = local()
        self._own_written_kib = settings.argon2_memory_kib * settings.argon2_time_cost
        own = self._context.handler("argon2")
        own.set_backend()  # not in the lane: two threads could both be the first to need it, which ends in an error
        # Verified like any hash of the current parameters, and that of no password: to make one would cost a hash.
        decoy = own(use_defaults=True, checksum=secrets.token_bytes(DIGEST_BYTES))
        self._decoy = _Stored(decoy.to_string(), decoy)

    def try_out(self) -> None:
        """Fill the memory of a hash once, so that a server whose Argon2 does not run here does not even start.

        One whose bcrypt is missing does not either; that library's own tests take as long as a hash, and wait for one.
        """
        import_module("bcrypt")
        self._context.handler("argon2").using(time_cost=1).hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """Return a hash in PHC string format, with a random salt, of a password in canonical form."""
        self._settle_in()
        hashed: str = self._context.hash(password)
        return hashed

    def adopt(self, stored: str) -> str:
        """Return what to store for an account that comes from another system with this hash, which costs no hashing.

        That is the hash itself, or the same one in a form that shows its parameters, or that it is not our own. A
        marker for "no password" (Django's, which starts with `!`) becomes `UNUSABLE`.

        Raises:
            MissingSecretError: a setting is missing that would let it be verified.
            ValueError: it could not be verified, or only at a cost that no client should be able to cause. The
                message says what was expected and repeats nothing of it.
        """
        if stored.startswith(UNUSABLE):
            return UNUSABLE
        if len(stored) > LONGEST:
            raise ValueError(f"The hash may be at most {LONGEST} characters long.")
        if stored.startswith(FirebaseScrypt.ident) and not self._has_firebase:
            raise MissingSecretError("A Firebase hash needs the setting AUTH_PASSWORD__FIREBASE_SIGNER_KEY.")
        found = self._read(stored)
        refuse_too_dear(found.parsed, self._own_kib, self._own_written_kib)
        if found.is_own:
            return _AS_OF_ANOTHER + found.form
        return stored if "$" in stored or stored.startswith("{") else found.form

    def recipe(self, hashed: str | None) -> str:
        """Return the scheme and the parameters of a stored hash, which are what verifying it costs."""
        return recipe((self._verifiable(hashed) or self._decoy).parsed)

    def is_outdated(self, hashed: str) -> bool:
        """Return whether a login renews a stored hash; raises ValueError if it cannot be read."""
        return self._is_outdated(self._read(hashed))

    def comparison(self, password: str, hashed: str | None) -> Comparison:
        """Return how a password, as it was given, is compared with a stored hash, which costs no hashing.

        The spelling is NFC alone with our own hashes. Without a stored hash that can be read (no such account, or one
        without a password) it is compared with a decoy of the current parameters.
        """
        found = self._verifiable(hashed)
        is_foreign = found is not None and not found.is_own
        spellings = password_spellings(password) if is_foreign else (canonical_password(password),)
        return Comparison(spellings, found or self._decoy, found is None)

    def compare(self, given: Comparison) -> tuple[bool, str | None]:
        """Return whether the password is right, and a new hash if the stored one is outdated.

        Each of its spellings is compared until one is right.
        """
        self._settle_in()
        is_right = any(self._is_right(spelling, given.stored) for spelling in given.spellings)
        if not is_right or given.is_decoy:
            return False, None
        return True, self.hash(given.spellings[0]) if self._is_outdated(given.stored) else None

    def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """The same at once, for a password as it was given and a stored hash."""
        return self.compare(self.comparison(password, hashed))

    def _settle_in(self) -> None:
        """Before the first hash of a thread."""
        if not hasattr(self._threads, "is_settled"):
            self._threads.is_settled = True
            with suppress(ImportError):  # a Python without ctypes
                import_module("auth_service.security.passwords.hash_memory").ask_for_large_pages(self._own_kib * 1024)

    def _is_outdated(self, found: _Stored) -> bool:
        return not found.is_own or bool(self._context.needs_update(found.form))

    def _verifiable(self, hashed: str | None) -> _Stored | None:
        """Return a stored hash as it can be verified, or None."""
        try:
            return self._read(hashed) if hashed else None
        except ValueError:
            return None

    def _read(self, stored: str) -> _Stored:
        """Return a stored hash as it can be verified.

        Raises:
            ValueError: it cannot be read.
        """
        bare, prepare = preparation(stored, self._pepper)
        form = library_form(bare, self._pepper)
        try:
            parsed = self._context.handler(self._context.identify(form, required=True)).from_string(form)
        except _MALFORMED:
            raise ValueError(fault_of(bare)) from None
        if not parsed.checksum:
            raise ValueError("The hash has no digest.")
        return _Stored(form, parsed, prepare, is_own=stored.startswith(_OWN))

    def _is_right(self, password: str, stored: _Stored) -> bool:
        secret, scheme = stored.prepare(password.encode()), stored.parsed.name
        if "bcrypt" in scheme:
            with _BCRYPT:  # as for Argon2: two threads could both be the first to need it
                bcrypt.set_backend()
        if scheme == "bcrypt":  # which never looked at more; the hash that replaces it covers all
            secret = secret[:BCRYPT_BYTES]
        is_short = len(secret) <= LONGEST_SECRET or scheme not in ROUND_BY_ROUND
        try:  # a longer one costs what the longest does, and is not right
            return bool(stored.parsed.verify(secret if is_short else secret[:LONGEST_SECRET], stored.form)) and is_short
        except (ValueError, OverflowError):  # a NUL in the password, for bcrypt; parameters beyond all bounds
            return False
