"""Refusals of whoever has no right to what was asked for. Why, is for the log alone."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from auth_service.errors.refused import Refused


class Denial(StrEnum):
    """Why something was denied. The log tells it, and no answer: to whoever asked, all defects are alike."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    FOREIGN = "foreign"  # signed by a key of ours, for somebody else or with claims that no token of ours has
    EXPIRED = "expired"
    ENDED = "ended"
    WRONG = "wrong"
    ROLE = "role"
    STEP_UP = "step-up"
    FACTOR = "factor"
    ORIGIN = "origin"


class AccessDenied(Refused):
    """Somebody asked for what they have no right to.

    `reason` is a `Denial`, or what a refresh token turned out to be; `user_id` says who asked, if that is known.
    """

    reason: str

    def __init__(self, reason: str | None = None, user_id: UUID | None = None) -> None:
        super().__init__()
        self.reason = reason or type(self).reason
        self.user_id = user_id


class InvalidRefreshToken(AccessDenied):
    code = "invalid-refresh-token"
    detail = "You have been signed out. Sign in again."
    reason = Denial.ENDED


class MissingAccessToken(AccessDenied):
    code = "missing-access-token"
    detail = "You are not signed in."
    reason = Denial.MISSING


class InvalidAccessToken(AccessDenied):
    code = "invalid-access-token"
    detail = "You are not signed in any more. Sign in again."
    reason = Denial.ENDED


class InsufficientRole(AccessDenied):
    code = "insufficient-role"
    detail = "Your account is not allowed to do this."
    reason = Denial.ROLE


class StepUpRequired(AccessDenied):
    """The token is good, but it was signed in too long ago (`max_age`, in seconds), or not surely enough for one of the
    `acr_values`, the weakest first (RFC 9470). What does not matter is left out.
    """

    code = "step-up-required"
    detail = "Confirm again that it is you before you do this."
    reason = Denial.STEP_UP

    def __init__(self, max_age: int | None = None, acr_values: Sequence[str] = (), user_id: UUID | None = None) -> None:
        super().__init__(user_id=user_id)
        wanted = {"max_age": max_age, "acr_values": " ".join(acr_values) or None}
        self.members = {name: value for name, value in wanted.items() if value is not None}


class InvalidInternalToken(AccessDenied):
    code = "invalid-internal-token"
    detail = "This route is internal: send AUTH_INTERNAL_TOKEN in the header X-Internal-Token."
    reason = Denial.WRONG


class CrossSiteRequest(AccessDenied):
    code = "cross-site-request"
    detail = "This page may not use the refresh cookie."
    reason = Denial.ORIGIN
