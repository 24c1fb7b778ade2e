"""The fields of `/auth/step-up`."""

from collections.abc import Collection
from typing import Literal

from auth_service.api.schemas.factors import ChallengeText, Code
from auth_service.api.schemas.fields import Answer, CombinedBody, Password, one_of
from auth_service.api.schemas.passkeys import AssertionCredential
from auth_service.errors import FieldFault, Reason


class StepUpBody(CombinedBody):
    """Exactly one of `password`, `code`, and `challenge` with `credential`."""

    password: Password | None = None
    code: Code | None = None
    challenge: ChallengeText | None = None
    credential: AssertionCredential | None = None

    @classmethod
    def clashes(cls, given: Collection[str]) -> list[FieldFault]:
        pair = "challenge", "credential"
        lacking = [name for name in pair if name not in given]
        if len(lacking) == 1:
            return [FieldFault(lacking[0], Reason.REQUIRED, "A passkey needs both its challenge and its credential.")]
        return one_of(given, ("password", "code", "credential"), "a password, a code or a passkey")


class SteppedUpToken(Answer):
    """Another access token of the same session. There is no refresh token: the one from before stays good."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the type, not a token
    expires_in: int
