"""The fields of `/auth/login/second-factor` and `/auth/login/enrol`."""

from typing import Any, Self

from pydantic import ConfigDict, model_validator

from auth_service.api.schemas.common import Answer, Body
from auth_service.api.schemas.factors import ChallengeText, Code
from auth_service.api.schemas.passkeys import AssertionCredential, AttestationCredential, PasskeyName


class SecondFactorBody(Body):
    """The challenge, and exactly one of `code` and `credential`."""

    challenge: ChallengeText
    code: Code | None = None
    credential: AssertionCredential | None = None

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.code is None) == (self.credential is None):
            raise ValueError("Give exactly one of code and credential.")
        return self


class ConfirmEnrolmentBody(Body):
    """The challenge, and exactly one of `code` and `credential`.

    A `name` goes with a passkey, which gets that of its authenticator without one.
    """

    challenge: ChallengeText
    code: Code | None = None
    name: PasskeyName | None = None
    credential: AttestationCredential | None = None

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.code is None) == (self.credential is None):
            raise ValueError("Give exactly one of code and credential.")
        if self.name is not None and self.credential is None:
            raise ValueError("A name goes with a credential.")
        return self


class PasskeyAsked(Answer):
    """What a page gives to the browser to add a passkey: `PublicKeyCredential.parseCreationOptionsFromJSON()`."""

    model_config = ConfigDict(from_attributes=True)

    public_key: dict[str, Any]
