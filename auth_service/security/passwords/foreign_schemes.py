"""Schemes of other systems that the library does not know, or verifies in one length alone, for its context."""

import re
from hashlib import pbkdf2_hmac, scrypt, sha256, sha512
from typing import Any

import passlib.utils.handlers as uh
from passlib import hash as library
from passlib.utils.binary import h64

_SPRING_ROUNDS = 1024
_SPRING_SALT = 8


def _bytes(secret: str | bytes) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret


class _Pbkdf2:
    """With a digest as long as it is there: .NET takes 32 bytes of SHA-512, and others as much as they like."""

    checksum_size = None

    def _calc_checksum(self: Any, secret: str | bytes) -> bytes:
        return pbkdf2_hmac(self._digest, _bytes(secret), self.salt, self.rounds, len(self.checksum))


class Pbkdf2Sha1(_Pbkdf2, library.pbkdf2_sha1):  # type: ignore[misc]
    """PBKDF2 of SHA-1."""


class Pbkdf2Sha256(_Pbkdf2, library.pbkdf2_sha256):  # type: ignore[misc]
    """PBKDF2 of SHA-256."""


class Pbkdf2Sha512(_Pbkdf2, library.pbkdf2_sha512):  # type: ignore[misc]
    """PBKDF2 of SHA-512."""


class Scrypt(library.scrypt):  # type: ignore[misc]
    """scrypt with a digest as long as it is there; needs 128 * r * (N + p) bytes, and OpenSSL's few more."""

    checksum_size = None

    def _calc_checksum(self, secret: str | bytes) -> bytes:
        n, r, p = 1 << self.rounds, self.block_size, self.parallelism
        memory = 128 * r * (n + p + 4)
        return scrypt(_bytes(secret), salt=self.salt, n=n, r=r, p=p, maxmem=memory, dklen=len(self.checksum))


class DrupalSha512(library.phpass):  # type: ignore[misc]
    """Drupal 7: phpass with SHA-512, cut to 55 characters in all."""

    name = "drupal_sha512"
    ident_values = ("$S$",)
    default_ident = "$S$"
    ident_aliases: dict[str, str] = {}  # noqa: RUF012  # as the library has it

    def _calc_checksum(self, secret: str | bytes) -> str:
        password = _bytes(secret)
        result = sha512(self.salt.encode() + password).digest()
        for _ in range(1 << self.rounds):
            result = sha512(result + password).digest()
        encoded: str = h64.encode_bytes(result).decode()
        return encoded[: len(self.checksum)]


class SpringSha256(uh.HasRawSalt, uh.HasRawChecksum, uh.GenericHandler):  # type: ignore[misc]
    """Spring's StandardPasswordEncoder: `{sha256}`, and salt and digest in hexadecimal."""

    name = "spring_sha256"
    ident = "{sha256}"
    setting_kwds = ("salt",)
    checksum_size = 32
    _form = re.compile(r"\{sha256\}([0-9a-f]{80})")

    @classmethod
    def from_string(cls, hash: str) -> "SpringSha256":  # noqa: A002
        found = cls._form.fullmatch(hash)
        if not found:
            raise ValueError("Spring's {sha256} is followed by 80 hexadecimal digits.")
        data = bytes.fromhex(found[1])
        return cls(salt=data[:_SPRING_SALT], checksum=data[_SPRING_SALT:])

    def _calc_checksum(self, secret: str | bytes) -> bytes:
        digest = self.salt + _bytes(secret)
        for _ in range(_SPRING_ROUNDS):
            digest = sha256(digest).digest()
        found: bytes = digest
        return found


FOREIGN_SCHEMES: list[Any] = [
    "bcrypt", "bcrypt_sha256", "django_bcrypt_sha256", Pbkdf2Sha1, Pbkdf2Sha256, Pbkdf2Sha512, Scrypt, "phpass",
    DrupalSha512, "md5_crypt", "apr_md5_crypt", "sha256_crypt", "sha512_crypt", "ldap_salted_sha1",
    "ldap_salted_sha256", "ldap_salted_sha512", SpringSha256,
]  # fmt: skip
