"""Bodies and answers of the routes about second factors, and the problems that ask for one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr

from auth_service.api.schemas.fields import IF_ANY, Answer, Body, clean_secret
from auth_service.api.schemas.problems import ProblemDetails
from auth_service.api.schemas.sessions import Tokens
from auth_service.models import FactorView
from auth_service.security.keys import base64url

MAX_CODE = 64  # characters: a recovery code with its hyphens, and room for blanks

Code = Annotated[SecretStr, Field(min_length=1, max_length=MAX_CODE, examples=["123456"]), AfterValidator(clean_secret)]

ChallengeText = Annotated[SecretStr, Field(min_length=1, examples=["chl_..."]), AfterValidator(clean_secret)]


class CodeBody(Body):
    code: Code


class ChallengeBody(Body):
    challenge: ChallengeText


def _encoded(value: Any) -> Any:
    return base64url(value) if isinstance(value, bytes) else value


def _parted(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


Base64UrlText = Annotated[str, BeforeValidator(_encoded)]


class FactorItem(Answer):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: str
    name: str | None
    created_at: datetime
    last_used_at: datetime | None


class PasskeyItem(FactorItem):
    """A passkey. One that is `backup_eligible` may be on several devices, and is there if it is `backed_up`."""

    credential_id: Base64UrlText
    backup_eligible: bool
    backed_up: bool
    transports: Annotated[list[str], BeforeValidator(_parted)]


class AcceptedCredentials(Answer):
    """What `PublicKeyCredential.signalAllAcceptedCredentials()` takes, in its own names when written in camel case."""

    rp_id: str
    user_id: str
    credential_ids: list[str]


class FactorList(Answer):
    items: list[PasskeyItem | FactorItem]
    recovery_codes_left: int
    accepted_credentials: Annotated[AcceptedCredentials | None, IF_ANY] = None


class TotpSecret(Answer):
    """A TOTP (RFC 6238: SHA-1, six digits, thirty seconds): the secret in base32, and as the URI of a QR code."""

    model_config = ConfigDict(from_attributes=True)

    secret: str
    otpauth_uri: str


class NewTotpFactor(TotpSecret):
    id: UUID


class RecoveryCodeList(Answer):
    """Recovery codes, each good once in place of a second factor, and told once. Empty: the earlier ones stay good."""

    recovery_codes: list[str]


class EnrolledTokens(Tokens, RecoveryCodeList):
    """The tokens of a session that the first factor of an account opened, and the recovery codes."""


class _NextStep(ProblemDetails):
    challenge: str
    expires_in: int


class SecondFactorRequiredProblem(_NextStep):
    """RFC 9457. The sign-in goes on with `challenge`, by one of the `methods`, within `expires_in` seconds.

    Where `passkey` is one of them, `public_key` is what the page gives to the browser.
    """

    code: Literal["second-factor-required"]
    methods: list[Literal["passkey", "totp", "recovery_code"]]
    public_key: Annotated[dict[str, Any] | None, IF_ANY] = None


class EnrolmentRequiredProblem(_NextStep):
    """RFC 9457. The sign-in goes on by adding a factor of `methods` with `challenge`, within `expires_in` seconds."""

    code: Literal["second-factor-enrolment-required"]
    methods: list[Literal["passkey", "totp"]]


class InvalidCredentialsProblem(ProblemDetails):
    """RFC 9457. `unknown_credential` is there, and true, for a passkey that no account has, or none any more."""

    code: Literal["invalid-credentials"]
    unknown_credential: Annotated[bool | None, IF_ANY] = None


class StepUpProblem(ProblemDetails):
    """RFC 9457 and 9470. The bearer may step up, or sign in again: within `max_age` seconds, by one of `acr_values`.

    The latter are separated by spaces, the weakest first.
    """

    code: Literal["step-up-required"]
    max_age: Annotated[int | None, IF_ANY] = None
    acr_values: Annotated[str | None, IF_ANY] = None


def enrolled(told: Tokens, codes: Sequence[str]) -> EnrolledTokens:
    """Return an answer with tokens and recovery codes."""
    return EnrolledTokens(**told.model_dump(), recovery_codes=list(codes))


def factor_item(factor: FactorView) -> PasskeyItem | FactorItem:
    """Return a factor as it is told."""
    return (PasskeyItem if factor.credential_id else FactorItem).model_validate(factor)


def accepted_credentials(rp_id: str | None, factors: Sequence[FactorView]) -> AcceptedCredentials | None:
    """Return what the browser may keep of an account's passkeys; None where it has none."""
    passkeys = [factor for factor in factors if factor.credential_id and factor.user_handle]
    if rp_id is None or not passkeys:
        return None
    ids = [base64url(passkey.credential_id or b"") for passkey in passkeys]
    return AcceptedCredentials(rp_id=rp_id, user_id=base64url(passkeys[0].user_handle or b""), credential_ids=ids)
