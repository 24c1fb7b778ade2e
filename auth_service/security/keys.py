"""Keys: what is derived from the secret key, and the signing keys that it protects."""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from auth_service.models import SigningKey
from auth_service.settings import Settings

ALGORITHM = "ES256"
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


class UnknownSecretError(Exception):
    """A stored signing key was encrypted under a secret that `AUTH_SECRET_KEY` no longer lists."""


class ForgedKeyError(Exception):
    """A stored signing key was not made by this service, or was changed since."""


@dataclass(frozen=True)
class SealedKey:
    """A new signing key, ready to be stored: the private half encrypted, bound to its `kid`."""

    kid: str
    public_jwk: dict[str, str]
    private_key: bytes = field(repr=False)
    secret_id: str
    algorithm: str = ALGORITHM


class UnusableKeyError(ValueError):
    """A file does not hold an unencrypted P-256 private key in PEM."""


def make_signing_key(secrets: SecretKeys) -> SealedKey:
    """Make a P-256 key pair and seal it."""
    return _seal(ec.generate_private_key(ec.SECP256R1()), secrets)


def read_signing_key(pem: bytes, secrets: SecretKeys) -> SealedKey:
    """Read a private key from PEM and seal it; raises `UnusableKeyError`."""
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKeyError from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise UnusableKeyError
    return _seal(private, secrets)


def reseal(stored: SigningKey, secrets: SecretKeys) -> SealedKey:
    """Encrypt a stored key again, under the newest secret; raises what `open_signing_key()` does."""
    return _seal(open_signing_key(stored, secrets), secrets)


def _seal(private: ec.EllipticCurvePrivateKey, secrets: SecretKeys) -> SealedKey:
    """Encrypt the private half (AES-256-GCM) under the newest secret."""
    jwk = _public_jwk(private.public_key())
    plain = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    sealed = seal(secrets.newest.signing_keys, plain, jwk["kid"].encode())
    return SealedKey(jwk["kid"], jwk, sealed, secrets.newest.id.hex())


def open_signing_key(stored: SigningKey, secrets: SecretKeys) -> ec.EllipticCurvePrivateKey:
    """Decrypt the private half of a stored key, of which everything else follows: its public half, and their name.

    So whoever can write to the table, and does not know the secret, cannot make a key that is trusted.

    Raises:
        UnknownSecretError: it names a secret that is not listed.
        ForgedKeyError: it cannot be read or opened with that secret, or the public half or the `kid` is another key's.
    """
    if stored.public_jwk is None or stored.created_at is None:  # as the database gives what nobody can read
        raise ForgedKeyError(stored.kid)
    private = _unsealed(stored, secrets)
    jwk = _public_jwk(private.public_key())
    if (stored.kid, stored.algorithm, stored.public_jwk) != (jwk["kid"], ALGORITHM, jwk):
        raise ForgedKeyError(stored.kid)
    return private


def _unsealed(stored: SigningKey, secrets: SecretKeys) -> ec.EllipticCurvePrivateKey:
    try:
        keys = secrets.find_by_id(bytes.fromhex(stored.secret_id))
    except ValueError:
        raise ForgedKeyError(stored.kid) from None
    if keys is None:
        raise UnknownSecretError(stored.kid)
    plain = unseal(keys.signing_keys, stored.private_key, stored.kid.encode())
    if plain is None:
        raise ForgedKeyError(stored.kid)
    private = serialization.load_der_private_key(plain, password=None)  # nobody else can have sealed it
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ForgedKeyError(stored.kid)
    return private


def _public_jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """A public key as JWK (RFC 7517), named by its thumbprint (RFC 7638)."""
    numbers = public.public_numbers()
    required = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    kid = base64url(hashlib.sha256(canonical).digest())
    return {**required, "alg": ALGORITHM, "use": "sig", "kid": kid}


def _coordinate(number: int) -> str:
    return base64url(number.to_bytes(32, "big"))


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
