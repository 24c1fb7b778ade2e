"""The keys that sign access tokens: made, read from a file, encrypted to be stored, and opened."""

import hashlib
import json
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auth_service.models import SigningKey
from auth_service.security.keys import SecretKeys, base64url, seal, unseal

ALGORITHM = "ES256"


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
