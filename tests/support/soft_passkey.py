"""A passkey in software and the browser in front of it: what they send to a service, right or wrong."""

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2 import cbor
from fido2.cose import CoseKey

from auth_service.security.keys import base64url

UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80  # flags (WebAuthn, section 6.1)
CREATE, GET = "webauthn.create", "webauthn.get"
CURVES: dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "ES256": (ec.SECP256R1(), hashes.SHA256()),
    "ES384": (ec.SECP384R1(), hashes.SHA384()),
    "ES512": (ec.SECP521R1(), hashes.SHA512()),
}
GOOGLE = UUID("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4")  # the AAGUID of its password manager
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@cache
def private_key(algorithm: str, number: int = 0) -> PrivateKey:
    """A key of this algorithm, another for each number."""
    if algorithm in CURVES:
        # The same in every process: tests are named after what is made of it, and workers must find the same ones.
        return ec.derive_private_key(int.from_bytes(f"{algorithm} {number}".encode()), CURVES[algorithm][0])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


@dataclass
class SoftPasskey:
    """A passkey of one page. `flags` and `sign_count` are what its next signature says; the user is always verified."""

    origin: str
    rp_id: str
    algorithm: str = "ES256"
    flags: int = UP | UV
    sign_count: int = 1
    key_number: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    aaguid: UUID = GOOGLE

    @property
    def cose(self) -> dict[int, Any]:
        """The public key (RFC 9052)."""
        public: Any = private_key(self.algorithm, self.key_number).public_key()
        return dict(CoseKey.for_name(self.algorithm).from_cryptography_key(public))

    def client_data(self, ceremony: str, challenge: str, /, **members: Any) -> bytes:
        """What the browser says of its page, with these members besides or instead; None leaves one out."""
        said = {
            "type": ceremony,
            "challenge": base64url(challenge.encode()),
            "origin": self.origin,
            "crossOrigin": False,
            **members,
        }
        return json.dumps({name: value for name, value in said.items() if value is not None}).encode()

    def authenticator_data(self, rest: bytes = b"", flags: int | None = None, rp_id: str | None = None) -> bytes:
        """The first 37 bytes, and then `rest`."""
        head = hashlib.sha256((rp_id or self.rp_id).encode()).digest()
        return head + struct.pack(">BI", self.flags if flags is None else flags, self.sign_count) + rest

    def attested(self, key: bytes | None = None, credential_id: bytes | None = None) -> bytes:
        """Attested credential data (WebAuthn, section 6.5.2), with another key or id if one is given."""
        name = self.credential_id if credential_id is None else credential_id
        return self.aaguid.bytes + struct.pack(">H", len(name)) + name + (key or cbor.encode(self.cose))

    def attestation(self, authenticator_data: bytes | None = None) -> bytes:
        """An attestation object without a statement."""
        data = authenticator_data or self.authenticator_data(self.attested(), self.flags | AT)
        return cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})

    def sign(self, authenticator_data: bytes, client_data: bytes) -> bytes:
        signed = authenticator_data + hashlib.sha256(client_data).digest()
        key = private_key(self.algorithm, self.key_number)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(signed, ec.ECDSA(CURVES[self.algorithm][1]))
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return key.sign(signed)
