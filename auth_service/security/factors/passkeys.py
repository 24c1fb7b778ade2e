"""Passkeys: what a browser is asked for (WebAuthn Level 3), and what is believed of its answer.

fido2 reads CBOR, keys and authenticator data, and verifies signatures. What it lets pass is refused here, in
`webauthn.py`, `authenticator_data.py` and `cose_keys.py`: other origins, framed pages, changed backup eligibility,
algorithms and keys that nobody was asked for, CBOR in a second spelling. Attestation is neither asked for nor read: a
passkey is as good as the sign-in that adds it.

Only this module and the last two import fido2, and they are imported only where passkeys are configured: it costs
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
from auth_service.security.factors.authenticator_data import authenticator_data_of, read_authenticator_data
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

# In bytes.
SIGNATURE_LIMIT = 512  # of the longest RSA key
CREDENTIAL_ID_LIMIT = 1_023  # WebAuthn, section 4, credential id

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
            data = self._read_authenticator_data(authenticator_data_of(attestation_object))
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
        data = read_authenticator_data(raw)
        require(data.rp_id_hash == self._rp_id_hash, "another relying party")
        require(data.is_user_present(), "nobody was present")
        require(data.is_backup_eligible() or not data.is_backed_up(), "a backup of what is not eligible for one")
        return data


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
