"""Firebase's own scrypt: the digest is the project's signer key, encrypted under what scrypt makes of the password.

    $firebase-scrypt$ln=14,r=8,ss=Bw$<salt>$<hash>

`ln` is the project's `mem_cost`, `r` its `rounds`, `ss` its `base64_salt_separator`; salt and hash are the user's, in
base64 as Firebase gives them. The signer key is a secret of its own: who has the database alone cannot even guess.
"""

import hashlib
import re
from typing import Any

import passlib.utils.handlers as uh
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from auth_service.security.passwords.library_forms import from_base64

_KEY_BYTES = 32  # AES-256
_FORM = re.compile(
    r"\$firebase-scrypt\$ln=([1-9]|[12][0-9]),r=([1-9][0-9]{0,2})(?:,ss=([\w+/=-]+))?\$([\w+/=-]+)\$([\w+/=-]+)",
    re.ASCII,
)


class FirebaseScrypt(uh.HasRawSalt, uh.HasRawChecksum, uh.GenericHandler):  # type: ignore[misc]
    """A handler for the library's context; `with_key` makes one that can verify."""

    name = "firebase_scrypt"
    ident = "$firebase-scrypt$"
    setting_kwds = ("salt",)
    parallelism = 1
    signer_key = b""

    def __init__(self, rounds: int, block_size: int, **others: Any) -> None:
        super().__init__(**others)
        self.rounds, self.block_size = rounds, block_size

    @classmethod
    def with_key(cls, signer_key: str) -> "type[FirebaseScrypt]":
        return type(cls.__name__, (cls,), {"signer_key": from_base64(signer_key)})

    @classmethod
    def from_string(cls, hash: str) -> "FirebaseScrypt":  # noqa: A002
        found = _FORM.fullmatch(hash)
        if not found:
            raise ValueError("A Firebase hash has the form $firebase-scrypt$ln=14,r=8,ss=Bw$<salt>$<hash>.")
        salt, separator, checksum = (from_base64(part or "") for part in found.group(4, 3, 5))
        if len(checksum) != len(cls.signer_key):
            raise ValueError("A Firebase hash must be as long as the signer key, AUTH_PASSWORD__FIREBASE_SIGNER_KEY.")
        return cls(rounds=int(found[1]), block_size=int(found[2]), salt=salt + separator, checksum=checksum)

    def _calc_checksum(self, secret: str | bytes) -> bytes:
        """Return the signer key, encrypted; needs 128 * r * 2 ** ln bytes, and OpenSSL's few more."""
        password = secret.encode() if isinstance(secret, str) else secret
        n, r = 1 << self.rounds, self.block_size
        key = hashlib.scrypt(password, salt=self.salt, n=n, r=r, p=1, maxmem=128 * r * (n + 4), dklen=_KEY_BYTES)
        encryptor = Cipher(AES(key), CTR(bytes(16))).encryptor()
        return encryptor.update(self.signer_key) + encryptor.finalize()
