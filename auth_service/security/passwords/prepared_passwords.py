"""What some systems do to a password before they hash it, told by what stands before the hash.

WordPress and Drupal write that themselves. `{meteor}`, `{devise}` and `{flask-security}` are for an import to write: a
hash of theirs looks like any bcrypt or Argon2, and would open to no password. A pepper is a secret of the old system,
the same for each of its passwords; it is a setting, and never in the database.
"""

from base64 import b64encode
from collections.abc import Callable
from hashlib import md5, sha256
from hmac import digest

Prepare = Callable[[bytes], bytes]

_PHP_SPACE = b" \t\n\r\0\x0b"
_DEVISE, _FLASK, _SPRING_SHA256 = "{devise}", "{flask-security}", "{sha256}"
_PREPARED: dict[str, tuple[str, Prepare]] = {
    # what a hash begins with, what of that is not part of the form below, and what becomes of the password
    "$wp$2": ("$wp", lambda password: b64encode(digest(b"wp-sha384", password.strip(_PHP_SPACE), "sha384"))),
    "U$S$": ("U", lambda password: md5(password, usedforsecurity=False).hexdigest().encode()),
    "{meteor}": ("{meteor}", lambda password: sha256(password).hexdigest().encode()),
}


class MissingSecretError(ValueError):
    """A hash needs a setting to be verified; the message names it."""


def as_it_is(password: bytes) -> bytes:
    return password


def preparation(stored: str, pepper: bytes) -> tuple[str, Prepare]:
    """Return a hash without what tells how its password was prepared, and what prepares it.

    Raises:
        MissingSecretError: that takes a pepper, and there is none.
    """
    for beginning, (marker, prepare) in _PREPARED.items():
        if stored.startswith(beginning):
            return stored.removeprefix(marker), prepare
    if stored.startswith(_SPRING_SHA256):
        return stored, lambda password: pepper + password
    if not stored.startswith((_DEVISE, _FLASK)):
        return stored, as_it_is
    if not pepper:
        raise MissingSecretError("This hash needs the pepper of its system: AUTH_PASSWORD__IMPORTED_PEPPER.")
    if stored.startswith(_DEVISE):
        return stored.removeprefix(_DEVISE), lambda password: password + pepper
    return stored.removeprefix(_FLASK), lambda password: b64encode(digest(pepper, password, "sha512"))
