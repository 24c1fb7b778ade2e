"""Authenticator data (WebAuthn, section 6.1) and the attestation object around those of a new passkey, as bytes.

Both must be in CTAP2's canonical form (WebAuthn, section 2.4), as Chromium demands of authenticators too: fido2 takes
two members of one name, and lengths that go beyond the end.
"""

import struct
from collections.abc import Iterator
from typing import Any

from fido2 import cbor
from fido2.webauthn import AuthenticatorData

from auth_service.security.factors.webauthn import require

# In bytes. The longest credential id with the longest key takes 1,612; whoever sends much more means no passkey.
AUTHENTICATOR_DATA_LIMIT = 2_048
ATTESTATION_LIMIT = 8_192

_HEAD = struct.Struct(">32sBI")  # hash of the RP id, flags, counter


def read_authenticator_data(raw: bytes) -> AuthenticatorData:
    """Return what an authenticator says of itself and its user; raises `PasskeyRefused`, or what fido2 raises."""
    require(len(raw) <= AUTHENTICATOR_DATA_LIMIT, "authenticator data of that length")
    data = AuthenticatorData(raw)
    require(b"".join(_spell(data)) == raw, "authenticator data that is not canonical")
    require(data.extensions is None or isinstance(data.extensions, dict), "extensions that are no map")
    return data


def authenticator_data_of(attestation_object: bytes) -> bytes:
    """Return the authenticator data in an attestation object; raises as the other.

    Not by `fido2.webauthn.AttestationObject`: of a number in the place of the data it makes as many bytes. Windows
    writes the three members in an order of its own.
    """
    require(len(attestation_object) <= ATTESTATION_LIMIT, "an attestation object of that length")
    attested: Any = cbor.decode(attestation_object)
    require(isinstance(attested, dict) and attested.keys() == {"fmt", "attStmt", "authData"}, "no attestation object")
    spelled = b"".join(cbor.encode(name) + cbor.encode(value) for name, value in attested.items())
    require(attestation_object[1:] == spelled, "an attestation object that is not canonical")
    require(isinstance(attested["authData"], bytes), "authenticator data that are no bytes")
    return bytes(attested["authData"])


def _spell(data: AuthenticatorData) -> Iterator[bytes]:
    """What was read, written again."""
    yield _HEAD.pack(data.rp_id_hash, data.flags, data.counter)
    yield data.credential_data or b""
    yield b"" if data.extensions is None else cbor.encode(data.extensions)
