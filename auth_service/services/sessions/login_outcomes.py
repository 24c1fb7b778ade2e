"""What became of each login, and of each second step of one, counted for the operator."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from auth_service.errors import (
    HashingOverloaded,
    InvalidCredentials,
    SecondFactorEnrolmentRequired,
    SecondFactorRequired,
    TooManyAttempts,
    Unavailable,
)


class LoginOutcome(StrEnum):
    SUCCEEDED = "succeeded"
    SECOND_FACTOR_REQUIRED = "second_factor_required"  # the password was right, and not enough
    FAILED = "failed"  # unknown account, wrong password, disabled account; a code or challenge that is good no more
    THROTTLED = "throttled"  # too many attempts; no password or code was looked at
    OVERLOADED = "overloaded"  # no room in the hashing lane
    UNAVAILABLE = "unavailable"  # no database, or no signing key
    OTHER = "other"  # the client went away, or a fault of ours


@contextmanager
def counted(outcomes: Counter[LoginOutcome]) -> Iterator[None]:
    """Count what becomes of the block."""
    outcome = LoginOutcome.OTHER
    try:
        yield
        outcome = LoginOutcome.SUCCEEDED
    except (SecondFactorRequired, SecondFactorEnrolmentRequired):
        outcome = LoginOutcome.SECOND_FACTOR_REQUIRED
        raise
    except InvalidCredentials:
        outcome = LoginOutcome.FAILED
        raise
    except TooManyAttempts:
        outcome = LoginOutcome.THROTTLED
        raise
    except HashingOverloaded:
        outcome = LoginOutcome.OVERLOADED
        raise
    except Unavailable:
        outcome = LoginOutcome.UNAVAILABLE
        raise
    finally:
        outcomes[outcome] += 1
