"""Passkeys (WebAuthn Level 3): what a browser is asked for, and what is believed of its answer.

fido2 reads CBOR, keys and authenticator data, and verifies signatures. What it lets pass is refused here: another
origin, a page that another one frames, changed backup eligibility, algorithms and keys that nobody was asked for, and
CBOR that is not canonical. Attestation is neither asked for nor read: a passkey is as good as the sign-in that adds it.

Only this module imports fido2, and only where passkeys are configured is it imported itself: it costs memory.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from fido2 import cbor
from fido2.cose import ES256, ES384, ES512, RS256, CoseKey, EdDSA
from fido2.webauthn import AuthenticatorData

from auth_service.models.factors import CredentialDescriptor
from auth_service.security.challenges import LIFE
from auth_service.security.keys import base64url

# In bytes. Whoever sends more has something else in mind than a passkey.
CLIENT_DATA_LIMIT = 4_096
AUTHENTICATOR_DATA_LIMIT = 4_096
ATTESTATION_LIMIT = 12_288
SIGNATURE_LIMIT = 1_024
CREDENTIAL_ID_LIMIT = 1_023  # WebAuthn, section 4, credential id

_CREATE, _GET = "webauthn.create", "webauthn.get"
_ALGORITHMS = (ES256, EdDSA, ES384, ES512, RS256)  # the best-known first: authenticators take the first they can
_FLAG = AuthenticatorData.FLAG
_HEAD = struct.Struct(">32sBI")  # of authenticator data: hash of the RP id, flags, counter (WebAuthn, section 6.1)
_RSA_BITS = range(2048, 4096 + 1)
_RSA_EXPONENT = (65537).to_bytes(3)
# What fido2 raises over bytes that are not what they should be.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error)


class PasskeyRefused(ValueError):  # noqa: N818  # what happened, not what went wrong with us
    """An answer that is not believed. Its text is for the log: it says what is wrong and repeats nothing of it."""


@dataclass(frozen=True)
class RelyingParty:
    """Whom passkeys are for. `top_origins` are those of pages that may frame ours; all compare character by character.

    `origins` are web origins, and those of Android apps (`android:apk-key-hash:...`).
    """

    id: str
    name: str
    origins: frozenset[str]
    top_origins: frozenset[str]


@dataclass(frozen=True)
class NewPasskey:
    """What an authenticator says of a passkey that it has made. `public_key` is a COSE key in canonical CBOR."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    aaguid: UUID


@dataclass(frozen=True)
class Asserted:
    """What an authenticator says with a signature that was verified."""

    sign_count: int
    backed_up: bool


class PasskeyVerifier:
    """Makes the options of both ceremonies, and checks their results; it keeps nothing between them."""

    def __init__(self, rp: RelyingParty) -> None:
        self._rp = rp
        self._rp_id_hash = hashlib.sha256(rp.id.encode()).digest()

    def creation_options(
        self,
        challenge: str,
        *,
        user_handle: bytes,
        name: str,
        display_name: str,
        exclude: Sequence[CredentialDescriptor],
    ) -> dict[str, Any]:
        """Return `PublicKeyCredentialCreationOptionsJSON` for a passkey that needs no name and verifies its user.

        `exclude` are the passkeys that the account has: no authenticator holds two of one account.
        """
        return {
            "rp": {"id": self._rp.id, "name": self._rp.name},
            "user": {"id": base64url(user_handle), "name": name, "displayName": display_name},
            "challenge": _encode(challenge),
            "pubKeyCredParams": [{"type": "public-key", "alg": key.ALGORITHM} for key in _ALGORITHMS],
            "timeout": _milliseconds(),
            "excludeCredentials": [_descriptor(credential) for credential in exclude],
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": True,
                "userVerification": "required",
            },
            "attestation": "none",
        }

    def request_options(self, challenge: str, allow: Sequence[CredentialDescriptor] = ()) -> dict[str, Any]:
        """Return `PublicKeyCredentialRequestOptionsJSON`; without `allow`, for whichever passkey the user picks."""
        return {
            "rpId": self._rp.id,
            "challenge": _encode(challenge),
            "timeout": _milliseconds(),
            "allowCredentials": [_descriptor(credential) for credential in allow],
            "userVerification": "required",
        }

    def read_registration(self, client_data: bytes, attestation_object: bytes, challenge: str) -> NewPasskey:
        """Return the passkey that was made for this challenge (WebAuthn, section 7.1).

        Raises:
            PasskeyRefused: anything is not as it was asked for.
        """
        with _refusing("the registration"):
            self._check_client_data(client_data, _CREATE, challenge)
            data = self._read_authenticator_data(_authenticator_data_of(attestation_object))
            made = data.credential_data
            if made is None:
                raise PasskeyRefused("no credential is attested")
            _require(1 <= len(made.credential_id) <= CREDENTIAL_ID_LIMIT, "a credential id of that length")
            _check_key(made.public_key)
            _require(data.is_user_verified(), "the user was not verified")
            return NewPasskey(
                credential_id=bytes(made.credential_id),
                public_key=cbor.encode(made.public_key),
                sign_count=data.counter,
                backup_eligible=data.is_backup_eligible(),
                backed_up=data.is_backed_up(),
                aaguid=UUID(bytes=bytes(made.aaguid)),
            )

    def check_assertion(
        self,
        client_data: bytes,
        authenticator_data: bytes,
        signature: bytes,
        challenge: str,
        *,
        public_key: bytes,
        backup_eligible: bool,
    ) -> Asserted:
        """Return what was signed for this challenge with the passkey of that public key (WebAuthn, section 7.2).

        The caller compares the counter, and sees to it that a challenge is used once.

        Raises:
            PasskeyRefused: anything is not as it was asked for.
        """
        with _refusing("the assertion"):
            self._check_client_data(client_data, _GET, challenge)
            data = self._read_authenticator_data(authenticator_data)
            _require(data.credential_data is None, "a credential is attested in an assertion")
            _require(data.is_backup_eligible() == backup_eligible, "backup eligibility has changed")
            _require(len(signature) <= SIGNATURE_LIMIT, "a signature of that length")
            key = _read_key(public_key)
            try:
                key.verify(authenticator_data + hashlib.sha256(client_data).digest(), signature)
            except InvalidSignature:
                raise PasskeyRefused("a signature that is not of this key") from None
            _require(data.is_user_verified(), "the user was not verified")
            return Asserted(data.counter, data.is_backed_up())

    def _check_client_data(self, client_data: bytes, ceremony: str, challenge: str) -> None:
        """Members that are not known are no fault: browsers add some, so that nobody compares templates."""
        _require(len(client_data) <= CLIENT_DATA_LIMIT, "client data of that length")
        said = json.loads(client_data.decode(), object_pairs_hook=_without_duplicates)
        _require(isinstance(said, dict), "client data that is no object")
        _require(said.get("type") == ceremony, "client data of another ceremony")
        _require(said.get("challenge") == _encode(challenge), "another challenge")
        _require(said.get("origin") in self._rp.origins, "an origin that is not listed")
        framed = said.get("crossOrigin", False) is not False or "topOrigin" in said
        _require(not framed or said.get("topOrigin") in self._rp.top_origins, "framed by a page that is not listed")

    def _read_authenticator_data(self, raw: bytes) -> AuthenticatorData:
        _require(len(raw) <= AUTHENTICATOR_DATA_LIMIT, "authenticator data of that length")
        data = AuthenticatorData(raw)
        # fido2 reads the last of two members of one name, and lengths that go beyond the end.
        _require(b"".join(_spell(data)) == raw, "authenticator data that is not canonical")
        _require(data.extensions is None or isinstance(data.extensions, dict), "extensions that are no map")
        _require(data.rp_id_hash == self._rp_id_hash, "another relying party")
        _require(data.is_user_present(), "nobody was present")
        _require(data.is_backup_eligible() or not data.is_backed_up(), "a backup of what is not eligible for one")
        return data


def _authenticator_data_of(attestation_object: bytes) -> bytes:
    """Not `fido2.webauthn.AttestationObject`: it makes as many bytes as a number in the place of the data says."""
    _require(len(attestation_object) <= ATTESTATION_LIMIT, "an attestation object of that length")
    attested = _decode(attestation_object)
    _require(isinstance(attested, dict) and attested.keys() == {"fmt", "attStmt", "authData"}, "no attestation object")
    data = attested["authData"]
    _require(isinstance(data, bytes), "authenticator data that is no byte string")
    return bytes(data)


def _decode(data: bytes) -> Any:
    """Read CBOR in CTAP2's canonical form, as WebAuthn wants it (section 2.4): one value, one spelling."""
    value = cbor.decode(data)
    _require(cbor.encode(value) == data, "CBOR that is not canonical")
    return value


def _spell(data: AuthenticatorData) -> Iterator[bytes]:
    yield _HEAD.pack(data.rp_id_hash, data.flags, data.counter)
    yield data.credential_data or b""
    yield b"" if data.extensions is None else cbor.encode(data.extensions)


def _read_key(public_key: bytes) -> CoseKey:
    """Read a key that `_check_key` let pass when it was new."""
    members = _decode(public_key)
    return _TYPES[members[3]](members)


def _check_key(key: CoseKey) -> None:
    """Refuse keys that were not asked for, and members that a key has no use for (WebAuthn, section 6.5.1.1)."""
    _require(type(key) in _ALGORITHMS, "an algorithm that was not asked for")
    expected = _MEMBERS[type(key)]
    _require(key.keys() == expected.keys(), "a key with other members")
    for label, is_right in expected.items():
        _require(is_right(key[label]), "a key with a wrong member")
    try:
        key.verify(b"", b"")  # it is only then that fido2 makes a key of the numbers: a point off the curve is none
    except InvalidSignature:
        return


def _exactly(wanted: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value == wanted


def _bytes(length: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is bytes and len(value) == length


def _is_modulus(value: Any) -> bool:
    return type(value) is bytes and value[:1] != b"\0" and int.from_bytes(value).bit_length() in _RSA_BITS


def _ec(algorithm: type[CoseKey], curve: int, length: int) -> dict[int, Callable[[Any], bool]]:
    said = {1: _exactly(2), 3: _exactly(algorithm.ALGORITHM), -1: _exactly(curve)}
    return {**said, -2: _bytes(length), -3: _bytes(length)}


_TYPES = {algorithm.ALGORITHM: algorithm for algorithm in _ALGORITHMS}
# The members of each key: kty, alg, then its parameters (RFC 9053, section 7; RFC 8230, section 4). WebAuthn, section
# 5.8.5, fixes the curve of each algorithm.
_MEMBERS: dict[type[CoseKey], dict[int, Callable[[Any], bool]]] = {
    ES256: _ec(ES256, 1, 32),
    ES384: _ec(ES384, 2, 48),
    ES512: _ec(ES512, 3, 66),
    EdDSA: {1: _exactly(1), 3: _exactly(EdDSA.ALGORITHM), -1: _exactly(6), -2: _bytes(32)},
    RS256: {1: _exactly(3), 3: _exactly(RS256.ALGORITHM), -1: _is_modulus, -2: _RSA_EXPONENT.__eq__},
}


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except PasskeyRefused:
        raise
    except _UNREADABLE as error:
        raise PasskeyRefused(f"{what} cannot be read: {type(error).__name__}") from None


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise PasskeyRefused(otherwise)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    _require(len(members) == len(pairs), "client data with two members of one name")
    return members


def _encode(challenge: str) -> str:
    """As the browser has it, whose challenges are bytes: any can stand in a `str` (PEP 383), as W3C's vectors do."""
    return base64url(challenge.encode(errors="surrogateescape"))


def _descriptor(credential: CredentialDescriptor) -> dict[str, Any]:
    return {"type": "public-key", "id": base64url(credential.credential_id), "transports": list(credential.transports)}


def _milliseconds() -> int:
    return int(LIFE.total_seconds() * 1000)
