"""Bodies and answers of the routes about passkeys: the JSON forms of Web Authentication Level 3, section 5.1.8."""

import base64
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from auth_service.api.schemas.factors import ChallengeText, PasskeyItem, RecoveryCodeList
from auth_service.api.schemas.fields import Answer, Body, clean, wrong
from auth_service.api.schemas.sessions import Tokens
from auth_service.errors import Reason
from auth_service.services.factors.passkey_enrolment import Attestation
from auth_service.services.factors.passkey_proofs import Assertion

MAX_CREDENTIAL_ID = 1023  # bytes (Web Authentication Level 3, section 4, "credential ID")
MAX_PART = 12_288  # bytes; the whole body has at most 16 KiB
MAX_NAME = 64  # characters

NOT_BASE64URL = "Must be base64url without padding."

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def _decoded(value: Any) -> Any:
    """The bytes of base64url without padding (RFC 4648, section 5), in the one spelling that they have."""
    if not isinstance(value, str):
        return value  # which is refused for its type
    if not _BASE64URL.fullmatch(value) or len(value) % 4 == 1:
        raise wrong(Reason.INVALID_FORMAT, NOT_BASE64URL)
    decoded = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != value:
        raise wrong(Reason.INVALID_FORMAT, NOT_BASE64URL)
    return decoded


def _shown(name: str) -> str:
    if not name.isprintable() or not name.strip():
        raise wrong(Reason.INVALID_CHARACTER, "Must be visible text on one line.")
    return clean(name)


# One spelling for each byte string: whole groups of four, and a last group whose unused bits are zero.
_LAST = "[A-Za-z0-9_-]{4}|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]|[A-Za-z0-9_-][AQgw]"
_SCHEMA = {"type": "string", "format": "base64url", "pattern": f"^(?:[A-Za-z0-9_-]{{4}})*(?:{_LAST})$", "minLength": 2}
CredentialId = Annotated[
    bytes,
    BeforeValidator(_decoded),
    Field(min_length=1, max_length=MAX_CREDENTIAL_ID),
    WithJsonSchema({**_SCHEMA, "maxLength": MAX_CREDENTIAL_ID * 4 // 3}),
]
Part = Annotated[bytes, BeforeValidator(_decoded), Field(min_length=1, max_length=MAX_PART), WithJsonSchema(_SCHEMA)]
Extensions = Annotated[dict[str, Any], Field(description="What the browser says of extensions; none is looked at")]
TRANSPORT = r"^[a-z-]+$"
MAX_TRANSPORTS, MAX_TRANSPORT = 8, 15  # with a blank between any two, the table has room for them

Transport = Annotated[str, Field(min_length=1, max_length=MAX_TRANSPORT, pattern=TRANSPORT)]
PasskeyName = Annotated[str, Field(min_length=1, max_length=MAX_NAME, examples=["My phone"]), AfterValidator(_shown)]


def _same_id(raw_id: bytes, others: ValidationInfo) -> bytes:
    if others.data.get("id", raw_id) != raw_id:
        raise wrong(Reason.INVALID_FORMAT, "Must be the same as id.")
    return raw_id


class _Credential(Body):
    id: CredentialId
    raw_id: Annotated[CredentialId, AfterValidator(_same_id)] = Field(alias="rawId")
    type: Literal["public-key"]
    authenticator_attachment: str | None = Field(None, alias="authenticatorAttachment", max_length=32)
    client_extension_results: Extensions = Field(default_factory=dict, alias="clientExtensionResults")


class AssertionResponse(Body):
    client_data: Part = Field(alias="clientDataJSON")
    authenticator_data: Part = Field(alias="authenticatorData")
    signature: Part
    user_handle: Part | None = Field(None, alias="userHandle")
    attestation_object: Part | None = Field(None, alias="attestationObject")


class AssertionCredential(_Credential):
    """What `navigator.credentials.get()` returns, by `toJSON()`."""

    response: AssertionResponse

    def assertion(self, challenge: str) -> Assertion:
        said = self.response
        return Assertion(
            challenge, self.raw_id, said.client_data, said.authenticator_data, said.signature, said.user_handle
        )


class AttestationResponse(Body):
    client_data: Part = Field(alias="clientDataJSON")
    attestation_object: Part = Field(alias="attestationObject")
    authenticator_data: Part | None = Field(None, alias="authenticatorData")
    transports: Annotated[list[Transport], Field(default_factory=list, max_length=MAX_TRANSPORTS)]
    public_key: Part | None = Field(None, alias="publicKey")
    public_key_algorithm: int | None = Field(None, alias="publicKeyAlgorithm")


class AttestationCredential(_Credential):
    """What `navigator.credentials.create()` returns, by `toJSON()`."""

    response: AttestationResponse

    def attestation(self, challenge: str) -> Attestation:
        said = self.response
        return Attestation(challenge, self.raw_id, said.client_data, said.attestation_object, said.transports)


class NoFields(Body):
    """An object without fields."""


class PasskeyLoginBody(Body):
    challenge: ChallengeText
    credential: AssertionCredential


class NewPasskeyBody(Body):
    challenge: ChallengeText
    name: PasskeyName | None = None
    credential: AttestationCredential


class PasskeyNameBody(Body):
    name: PasskeyName


class PasskeyChallenge(Answer):
    """A challenge, and what a page gives to the browser with it: `PublicKeyCredential.parse...OptionsFromJSON()`."""

    model_config = ConfigDict(from_attributes=True)

    challenge: str
    public_key: dict[str, Any]
    expires_in: int


class FirstPasskey(PasskeyItem, Tokens, RecoveryCodeList):
    """The first factor of an account: the tokens of a new session, and the recovery codes, which are told once."""


class RelatedOrigins(Answer):
    """The pages of other domains that may use these passkeys (Web Authentication Level 3, section 5.11)."""

    origins: list[str]
