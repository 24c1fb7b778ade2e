"""Refusals about second factors and passkeys."""

from collections.abc import Mapping, Sequence

from auth_service.errors.accounts import InvalidCredentials
from auth_service.errors.refused import Refused


class InvalidSecondFactor(InvalidCredentials):
    """A wrong code, one that was used before, or a challenge that is good no more: all alike."""

    code = "invalid-second-factor"
    detail = "The code or the passkey is wrong, or was used before. If not, the sign-in took too long: begin it again."


class SecondFactorRequired(Refused):
    """The password is right, and not enough. `methods` are those that the account has; `expires_in` is in seconds.

    For a passkey, `public_key` is what the browser is asked.
    """

    code = "second-factor-required"
    detail = "The password is right. Now confirm the sign-in with your second factor."

    def __init__(
        self,
        challenge: str,
        methods: Sequence[str],
        expires_in: int,
        public_key: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        asked = {"public_key": public_key} if public_key else {}
        self.members = {"challenge": challenge, "methods": list(methods), "expires_in": expires_in, **asked}


class SecondFactorEnrolmentRequired(Refused):
    """The password is right, or a code too, but the account must have a second factor that it has not; members as
    above.
    """

    code = "second-factor-enrolment-required"
    detail = "The password is right, but this account must add a second factor before it is signed in."

    def __init__(self, challenge: str, methods: Sequence[str], expires_in: int) -> None:
        super().__init__()
        self.members = {"challenge": challenge, "methods": list(methods), "expires_in": expires_in}


class InvalidChallenge(Refused):
    """What a browser returned was not made for this challenge, or the challenge is good no more."""

    code = "invalid-challenge"
    detail = "This took too long, or was done already. Start again."

    def __init__(self, because: str | None = None) -> None:
        super().__init__(f"The passkey was refused: {because}." if because else None)


class FactorExists(Refused):
    code = "factor-exists"
    detail = "This passkey is registered already."


class TooManyFactors(Refused):
    code = "too-many-factors"
    detail = "The account has twenty second factors, and may have no more. Remove one that is not used."


class NoSuchFactor(Refused):
    code = "not-found"
    detail = "You have no such second factor, or it waited for its first code too long."


class PasskeysNotConfigured(Refused):
    code = "not-found"
    detail = "Passkeys are not available here: the operator has not set them up."
