"""Bodies and answers of the routes about second factors, and the problems that ask for one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from auth_service.api.schemas.common import Body, BrowserTokens, ProblemDetails, Tokens, clean_secret

MAX_CODE = 64  # characters: a recovery code with its hyphens, and room for blanks

Code = Annotated[SecretStr, Field(min_length=1, max_length=MAX_CODE, examples=["123456"]), AfterValidator(clean_secret)]

ChallengeText = Annotated[SecretStr, Field(min_length=1, examples=["chl_..."]), AfterValidator(clean_secret)]


class CodeBody(Body):
    code: Code


class ChallengeBody(Body):
    challenge: ChallengeText


class SecondFactorBody(Body):
    challenge: ChallengeText
    code: Code


class FactorItem(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: str
    name: str | None
    created_at: datetime
    last_used_at: datetime | None


class FactorList(BaseModel):
    items: list[FactorItem]
    recovery_codes_left: int


class TotpSecret(BaseModel):
    """A TOTP (RFC 6238: SHA-1, six digits, thirty seconds): the secret in base32, and as the URI of a QR code."""

    model_config = ConfigDict(from_attributes=True)

    secret: str
    otpauth_uri: str


class NewTotpFactor(TotpSecret):
    id: UUID


class RecoveryCodes(BaseModel):
    """Recovery codes, each good once in place of a second factor, and told once. Empty: the earlier ones stay good."""

    recovery_codes: list[str]


class EnrolledTokens(Tokens, RecoveryCodes):
    """The tokens of a session that the first factor of an account opened, and the recovery codes."""


class EnrolledBrowserTokens(BrowserTokens, RecoveryCodes):
    """The same for a page whose refresh token is in a cookie."""


class _NextStep(ProblemDetails):
    challenge: str
    methods: list[Literal["totp", "recovery_code"]]
    expires_in: int


class SecondFactorRequiredProblem(_NextStep):
    """RFC 9457. The sign-in goes on with `challenge`, by one of the `methods`, within `expires_in` seconds."""

    code: Literal["second-factor-required"]


class EnrolmentRequiredProblem(_NextStep):
    """RFC 9457. The sign-in goes on by adding a factor with `challenge`, within `expires_in` seconds."""

    code: Literal["second-factor-enrolment-required"]


class StepUpProblem(ProblemDetails):
    """RFC 9457 and 9470. The bearer may step up, or sign in again: within `max_age` seconds, by one of `acr_values`.

    The latter are separated by spaces, the weakest first.
    """

    code: Literal["step-up-required"]
    max_age: int | None = None
    acr_values: str | None = None


def enrolled(told: Tokens | BrowserTokens, codes: Sequence[str]) -> EnrolledTokens | EnrolledBrowserTokens:
    """Return an answer with tokens and recovery codes."""
    whole = EnrolledTokens if isinstance(told, Tokens) else EnrolledBrowserTokens
    return whole(**told.model_dump(), recovery_codes=list(codes))
