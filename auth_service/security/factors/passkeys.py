"""Passkeys: what a browser is asked for (WebAuthn Level 3), and what is believed of its answer.

fido2 reads CBOR, keys and authenticator data, and verifies signatures. What it lets pass is refused here and in
`webauthn.py`: other origins, framed pages, changed backup eligibility, algorithms and keys that nobody was asked for,
CBOR in a second spelling. Attestation is neither asked for nor read: a passkey is as good as the sign-in that adds it.

Only this module imports fido2, and only where passkeys are configured is it imported itself: it costs memory.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from fido2 import cbor
from fido2.cose import ES256, ES384, ES512, RS256, CoseKey, EdDSA
from fido2.webauthn import AuthenticatorData

from auth_service.models.factors import CredentialDescriptor
from auth_service.security.factors.webauthn import (
    Asserted,
    NewPasskey,
    PasskeyRefused,
    RelyingParty,
    check_client_data,
    encode_challenge,
    require,
)
from auth_service.security.keys import base64url
from auth_service.security.tokens.challenges import LIFE

# In bytes. The longest credential id with the longest key takes 1,612; whoever sends much more means no passkey.
AUTHENTICATOR_DATA_LIMIT = 2_048
ATTESTATION_LIMIT = 8_192
SIGNATURE_LIMIT = 512  # of the longest RSA key
CREDENTIAL_ID_LIMIT = 1_023  # WebAuthn, section 4, credential id

_ALGORITHMS = (ES256, EdDSA, ES384, ES512, RS256)  # an authenticator takes the first that it knows
_HEAD = struct.Struct(">32sBI")  # of authenticator data: hash of the RP id, flags, counter (WebAuthn, section 6.1)
_TIMEOUT = int(LIFE.total_seconds() * 1000)  # milliseconds
_RSA_BITS = range(2048, 4096 + 1)
_RSA_EXPONENT = (65537).to_bytes(3)
# What fido2 raises over bytes that are not what they should be.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error)

_Rule = Callable[[Any], bool]


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
            "challenge": encode_challenge(challenge),
            "pubKeyCredParams": [{"type": "public-key", "alg": key.ALGORITHM} for key in _ALGORITHMS],
            "timeout": _TIMEOUT,
            "excludeCredentials": [_describe(credential) for credential in exclude],
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
            "challenge": encode_challenge(challenge),
            "timeout": _TIMEOUT,
            "allowCredentials": [_describe(credential) for credential in allow],
            "userVerification": "required",
        }

    def read_registration(self, client_data: bytes, attestation_object: bytes, challenge: str) -> NewPasskey:
        """Return the passkey that was made for this challenge (WebAuthn, section 7.1).

        Raises:
            PasskeyRefused: anything is not as it was asked for.
        """
        with _refusing("the registration"):
            check_client_data(self._rp, client_data, "webauthn.create", challenge)
            data = self._read_authenticator_data(_authenticator_data_of(attestation_object))
            made = data.credential_data
            if made is None:
                raise PasskeyRefused("no credential is attested")
            require(1 <= len(made.credential_id) <= CREDENTIAL_ID_LIMIT, "a credential id of that length")
            _check_key(made.public_key)
            require(data.is_user_verified(), "the user was not verified")
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
            check_client_data(self._rp, client_data, "webauthn.get", challenge)
            data = self._read_authenticator_data(authenticator_data)
            require(data.credential_data is None, "a credential is attested in an assertion")
            require(data.is_backup_eligible() == backup_eligible, "backup eligibility has changed")
            require(len(signature) <= SIGNATURE_LIMIT, "a signature of that length")
            key = _read_key(public_key)
            try:
                key.verify(authenticator_data + hashlib.sha256(client_data).digest(), signature)
            except InvalidSignature:
                raise PasskeyRefused("a signature that is not of this key") from None
            require(data.is_user_verified(), "the user was not verified")
            return Asserted(data.counter, data.is_backed_up())

    def _read_authenticator_data(self, raw: bytes) -> AuthenticatorData:
        """It must be in CTAP2's canonical form (WebAuthn, section 2.4), as Chromium demands of authenticators too."""
        require(len(raw) <= AUTHENTICATOR_DATA_LIMIT, "authenticator data of that length")
        data = AuthenticatorData(raw)
        require(b"".join(_spell(data)) == raw, "authenticator data that is not canonical")
        require(data.extensions is None or isinstance(data.extensions, dict), "extensions that are no map")
        require(data.rp_id_hash == self._rp_id_hash, "another relying party")
        require(data.is_user_present(), "nobody was present")
        require(data.is_backup_eligible() or not data.is_backed_up(), "a backup of what is not eligible for one")
        return data


def _authenticator_data_of(attestation_object: bytes) -> bytes:
    """Not `fido2.webauthn.AttestationObject`: of a number in the place of the data it makes as many bytes.

    Windows writes the three members in an order of its own.
    """
    require(len(attestation_object) <= ATTESTATION_LIMIT, "an attestation object of that length")
    attested: Any = cbor.decode(attestation_object)
    require(isinstance(attested, dict) and attested.keys() == {"fmt", "attStmt", "authData"}, "no attestation object")
    spelled = b"".join(cbor.encode(name) + cbor.encode(value) for name, value in attested.items())
    require(attestation_object[1:] == spelled, "an attestation object that is not canonical")
    require(isinstance(attested["authData"], bytes), "authenticator data that are no bytes")
    return bytes(attested["authData"])


def _spell(data: AuthenticatorData) -> Iterator[bytes]:
    """What was read, written again: fido2 takes two members of one name, and lengths that go beyond the end."""
    yield _HEAD.pack(data.rp_id_hash, data.flags, data.counter)
    yield data.credential_data or b""
    yield b"" if data.extensions is None else cbor.encode(data.extensions)


def _read_key(public_key: bytes) -> CoseKey:
    """Read a key that `_check_key` let pass when it was new."""
    members: Any = cbor.decode(public_key)
    return _TYPES[members[3]](members)


def _check_key(key: CoseKey) -> None:
    """Refuse keys that were not asked for, and members that a key has no use for (WebAuthn, section 6.5.1.1)."""
    rules = _MEMBERS.get(type(key), {})
    require(key.keys() == rules.keys(), "a key of an algorithm that was not asked for, or with other members")
    require(all(rule(key[label]) for label, rule in rules.items()), "a key with a wrong member")
    try:
        key.verify(b"", b"")  # only now does fido2 make a key of the numbers: a point that is not on the curve is none
    except InvalidSignature:
        return


def _is(wanted: int) -> _Rule:
    return lambda value: type(value) is int and value == wanted


def _bytes(length: int) -> _Rule:
    return lambda value: type(value) is bytes and len(value) == length


def _is_modulus(value: Any) -> bool:
    return type(value) is bytes and value[:1] != b"\0" and int.from_bytes(value).bit_length() in _RSA_BITS


def _ec(algorithm: type[CoseKey], curve: int, length: int) -> dict[int, _Rule]:
    return {1: _is(2), 3: _is(algorithm.ALGORITHM), -1: _is(curve), -2: _bytes(length), -3: _bytes(length)}


_TYPES: dict[Any, type[CoseKey]] = {algorithm.ALGORITHM: algorithm for algorithm in _ALGORITHMS}
# The members of each key: kty, alg, then its parameters (RFC 9053, section 7; RFC 8230, section 4). WebAuthn, section
# 5.8.5, fixes the curve of each algorithm.
_MEMBERS: dict[type[CoseKey], dict[int, _Rule]] = {
    ES256: _ec(ES256, 1, 32),
    ES384: _ec(ES384, 2, 48),
    ES512: _ec(ES512, 3, 66),
    EdDSA: {1: _is(1), 3: _is(EdDSA.ALGORITHM), -1: _is(6), -2: _bytes(32)},
    RS256: {1: _is(3), 3: _is(RS256.ALGORITHM), -1: _is_modulus, -2: lambda value: bool(value == _RSA_EXPONENT)},
}


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except PasskeyRefused:
        raise
    except _UNREADABLE as error:
        raise PasskeyRefused(f"{what} cannot be read: {type(error).__name__}") from None


def _describe(credential: CredentialDescriptor) -> dict[str, Any]:
    return {"type": "public-key", "id": base64url(credential.credential_id), "transports": list(credential.transports)}
