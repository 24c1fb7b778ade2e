"""Why a request is refused, as HTTP would say it, and what went wrong on the way to the auth service."""

from collections.abc import Sequence
from typing import Any, ClassVar


class Refused(Exception):  # noqa: N818  # the word of the service's own errors
    """A request is refused. The message is for the log, and never holds what was sent."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    detail: ClassVar[str]
    challenge: ClassVar[str | None] = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the answer."""
        return {"WWW-Authenticate": self.challenge} if self.challenge else {}

    def problem(self, issuer: str) -> dict[str, Any]:
        """The body of the answer (RFC 9457). `issuer` explains each code on a page of its own."""
        return {
            "type": f"{issuer}/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }


class MissingToken(Refused):
    """There is not exactly one Authorization header with a bearer token."""

    status, code, title = 401, "missing-access-token", "Not signed in"
    detail = "You are not signed in."
    challenge = "Bearer"


class InvalidToken(Refused):
    """The token is not valid; the client is not told why."""

    status, code, title = 401, "invalid-access-token", "Not signed in any more"
    detail = "You are not signed in any more. Sign in again."
    challenge = 'Bearer error="invalid_token"'


class InsufficientRole(Refused):
    """The token is good, and its bearer has none of the roles that are asked for."""

    status, code, title = 403, "insufficient-role", "Not allowed"
    detail = "Your account is not allowed to do this."
    challenge = 'Bearer error="insufficient_scope"'


class InsufficientAuthentication(Refused):
    """The token is good, and its bearer did not sign in as surely or recently as is asked for (RFC 9470, section 3).

    `max_age` is in seconds; `acr_values` are the classes that will do, the weakest first.
    """

    status, code, title = 401, "step-up-required", "Confirmation required"
    detail = "Confirm again that it is you before you do this."

    def __init__(self, max_age: int | None = None, acr_values: Sequence[str] = ()) -> None:
        wanted = {"max_age": max_age, "acr_values": " ".join(acr_values) or None}
        self._wanted = {name: value for name, value in wanted.items() if value is not None}
        super().__init__(f"wanted: {self._wanted}")

    @property
    def headers(self) -> dict[str, str]:
        told = {"error": "insufficient_user_authentication", "error_description": self.detail, **self._wanted}
        return {"WWW-Authenticate": "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told.items())}

    def problem(self, issuer: str) -> dict[str, Any]:
        return super().problem(issuer) | self._wanted


class Unavailable(Refused):
    """Whether the token is valid cannot be decided: the auth service has not answered for too long."""

    status, code, title = 503, "unavailable", "Unavailable"
    detail = "The service cannot answer at the moment; try again."
    retry_after = 1  # seconds

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class ServiceError(Exception):
    """The auth service did not answer, or not with what was asked for."""


class WrongInternalToken(ServiceError):  # noqa: N818  # as above
    """The auth service refuses the internal token: a wrong setting, which no waiting mends."""
