"""How sure and how recent a sign-in must be: what a service may ask for beside roles (RFC 9470)."""

import time
from typing import Literal, get_args

from auth_service.verifier.claims import Claims
from auth_service.verifier.errors import InsufficientAuthentication

Level = Literal["aal1", "aal2", "phr"]
LEVELS: tuple[str, ...] = get_args(Level)  # the weakest first


def check_requirement(acr: str | None, max_age: int | None) -> None:
    """Refuse what no sign-in can meet, where it is asked for rather than when a request comes.

    Raises:
        ValueError: `acr` is none of the service's, or `max_age` is no whole number of seconds.
    """
    if acr is not None and acr not in LEVELS:
        raise ValueError(f"acr must be one of {', '.join(LEVELS)}")
    if max_age is not None and (type(max_age) is not int or max_age < 0):
        raise ValueError("max_age must be a whole number of seconds")


def check_sign_in(claims: Claims, acr: str | None, max_age: int | None, leeway: float) -> None:
    """Let whoever signed in pass who did it at least as surely as `acr`, at most `max_age` seconds ago.

    The service wrote the time by another clock, which may differ by `leeway` seconds, as with `exp` (RFC 7519, section
    4.1.4; RFC 9470 leaves it to the resource server).

    Raises:
        InsufficientAuthentication: the sign-in was not so; or the token does not say when it was, or names a class that
            is none of the service's.
        ValueError: what `check_requirement` raises.
    """
    check_requirement(acr, max_age)
    enough = LEVELS[LEVELS.index(acr) :] if acr else ()
    is_sure = not enough or (LEVELS[0] if claims.acr is None else claims.acr) in enough  # not said is the weakest
    if not is_sure or (max_age is not None and not _is_recent(claims, max_age + leeway)):
        raise InsufficientAuthentication(max_age, enough)


def _is_recent(claims: Claims, seconds: float) -> bool:
    """Whether it is no longer since the sign-in. After the token there was none: a clock was set back."""
    if claims.auth_time is None or claims.auth_time > claims.issued_at:
        return False
    return time.time() - claims.auth_time.timestamp() <= seconds
