"""Passkeys: what a browser is asked for (WebAuthn Level 3), and what is believed of its answer.

fido2 reads CBOR, keys and authenticator data, and verifies signatures. What it lets pass is refused here, in
`cose_keys.py` and in `webauthn.py`: other origins, framed pages, changed backup eligibility, algorithms and keys that
nobody was asked for, CBOR in a second spelling. Attestation is neither asked for nor read: a passkey is as good as the
sign-in that adds it.

Only this module and `cose_keys.py` import fido2, and only where passkeys are configured are they imported: it costs
memory.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from fido2 import cbor
from fido2.webauthn import AuthenticatorData

from auth_service.models.factors import CredentialDescriptor
from auth_service.security.factors.cose_keys import ALGORITHMS, check_key, read_key
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

_HEAD = struct.Struct(">32sBI")  # of authenticator data: hash of the RP id, flags, counter (WebAuthn, section 6.1)
_TIMEOUT = int(LIFE.total_seconds() * 1000)  # milliseconds
# What fido2 raises over bytes that are not what they should be.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error)


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
            "pubKeyCredParams": [{"type": "public-key", "alg": key.ALGORITHM} for key in ALGORITHMS],
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
            check_key(made.public_key)
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
            key = read_key(public_key)
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
