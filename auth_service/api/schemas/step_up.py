"""The fields of `/auth/step-up`."""

from typing import Any, Literal, Self

from pydantic import ConfigDict, model_validator

from auth_service.api.schemas.common import Answer, Body, Password
from auth_service.api.schemas.factors import Code


def _text(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": "string"}}}


class StepUpBody(Body):
    model_config = ConfigDict(json_schema_extra={"oneOf": [_text("password"), _text("code")]})

    password: Password | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.password is None) == (self.code is None):
            raise ValueError("Give exactly one of password and code.")
        return self


class SteppedUpToken(Answer):
    """Another access token of the same session. There is no refresh token: the one from before stays good."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the type, not a token
    expires_in: int
