"""The fields of `/auth/login/second-factor` and `/auth/login/enrol`."""

from collections.abc import Collection
from typing import Any

from pydantic import ConfigDict

from auth_service.api.schemas.factors import ChallengeText, Code
from auth_service.api.schemas.fields import Answer, CombinedBody, one_of
from auth_service.api.schemas.passkeys import AssertionCredential, AttestationCredential, PasskeyName
from auth_service.errors import FieldFault, Reason

PROOFS = ("code", "credential"), "a code or a passkey"


class SecondFactorBody(CombinedBody):
    """The challenge, and exactly one of `code` and `credential`."""

    challenge: ChallengeText
    code: Code | None = None
    credential: AssertionCredential | None = None

    @classmethod
    def clashes(cls, given: Collection[str]) -> list[FieldFault]:
        return one_of(given, *PROOFS)


class ConfirmEnrolmentBody(CombinedBody):
    """The challenge, and exactly one of `code` and `credential`.

    A `name` goes with a passkey, which gets that of its authenticator without one.
    """

    challenge: ChallengeText
    code: Code | None = None
    name: PasskeyName | None = None
    credential: AttestationCredential | None = None

    @classmethod
    def clashes(cls, given: Collection[str]) -> list[FieldFault]:
        is_lost = "name" in given and "credential" not in given
        lost = [FieldFault("name", Reason.NOT_TOGETHER, "Only a passkey can have a name.")] if is_lost else []
        return one_of(given, *PROOFS) + lost


class PasskeyAsked(Answer):
    """What a page gives to the browser to add a passkey: `PublicKeyCredential.parseCreationOptionsFromJSON()`."""

    model_config = ConfigDict(from_attributes=True)

    public_key: dict[str, Any]
