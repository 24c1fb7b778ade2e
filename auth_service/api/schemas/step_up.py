"""The fields of `/auth/step-up`."""

from typing import Literal, Self

from pydantic import model_validator

from auth_service.api.schemas.common import Answer, Body, Password
from auth_service.api.schemas.factors import ChallengeText, Code
from auth_service.api.schemas.passkeys import AssertionCredential


class StepUpBody(Body):
    """Exactly one of `password`, `code`, and `challenge` with `credential`."""

    password: Password | None = None
    code: Code | None = None
    challenge: ChallengeText | None = None
    credential: AssertionCredential | None = None

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.challenge is None) != (self.credential is None):
            raise ValueError("Give challenge and credential together.")
        if sum(given is not None for given in (self.password, self.code, self.credential)) != 1:
            raise ValueError("Give exactly one of password, code, and challenge with credential.")
        return self


class SteppedUpToken(Answer):
    """Another access token of the same session. There is no refresh token: the one from before stays good."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the type, not a token
    expires_in: int
