"""What a call can end with. Their names are answers rather than errors, as the service's own are."""

from collections.abc import Mapping, Sequence
from typing import Any


class AuthError(Exception):
    """Every error of this package."""


class SignInAgain(AuthError):  # noqa: N818
    """There is no session, or it has ended: the user has to sign in. Nothing else is a reason to ask for that."""

    def __init__(self) -> None:
        super().__init__("there is no session, or it has ended: sign in")


class TryAgainLater(AuthError):  # noqa: N818
    """The service did not answer, or cannot just now; the text says what came instead. The session is still there.

    `retry_after` is how many seconds the service asks to wait; 0 if it does not say.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


class Refused(AuthError):  # noqa: N818
    """The service has decided against it (RFC 9457).

    `code` is stable, for programs; `detail` is a sentence for people; `problem` is all that the service said.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail") or problem.get("title") or f"status {status}")
        super().__init__(self.detail)


class SecondFactorRequired(Refused):
    """The password is right, and the account has a second factor. `challenge` goes with the code to
    `AuthClient.second_factor()`, within `expires_in` seconds; `methods` are those of the account: `passkey`, `totp`,
    `recovery_code`. `public_key` is for whatever asks the user's authenticator, where `passkey` is one of them.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(status, problem)
        self.challenge = str(problem.get("challenge", ""))
        self.methods: Sequence[str] = tuple(problem.get("methods", ()))
        self.public_key: Mapping[str, Any] | None = problem.get("public_key")
        self.expires_in = int(problem.get("expires_in", 0))


class EnrolmentRequired(SecondFactorRequired):
    """The password is right, and the account must add a second factor first: there is no code to ask for yet.

    `challenge` goes to `AuthClient.enrol()`; `methods` are those that will do.
    """
