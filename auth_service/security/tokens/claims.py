"""The claims of access tokens (RFC 9068, section 2.2): whom a token is made for, and what a valid one says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from auth_service.errors import Denial, InvalidAccessToken
from auth_service.settings import MAX_ACCESS_LIFETIME

LATEST = 2**37  # seconds since 1970: in the year 6325, within what a datetime takes
_ROLE = re.compile(r"[!-~]+")
_CLIENT_ID = re.compile(r"[ -~]*")  # RFC 6749, appendix A.1


class Subject(NamedTuple):
    """Whom an access token is made for: a session of a user, and what was proved when (RFC 9068, section 2.2.1)."""

    user_id: UUID
    session_id: UUID
    role: str
    authenticated_at: datetime
    acr: str
    amr: str


@dataclass(frozen=True)
class Claims:
    """What a valid access token says about its bearer. Those of an older service say nothing of the sign-in."""

    user_id: UUID
    session_id: UUID
    role: str
    expires_at: int
    kid: str
    issued_at: int
    jti: str
    auth_time: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()

    @cached_property
    def ids(self) -> tuple[bytes, bytes]:
        """The ids of user and session as a header has them, made once: gateways ask about a token again and again."""
        return str(self.user_id).encode(), str(self.session_id).encode()

    def was_authenticated_within(self, seconds: float, now: float) -> bool:
        """Whether it is no longer than that since the sign-in at `now`, the database's time in seconds since 1970.

        Not if that is unknown, or comes after the token: then a clock was set back, and nobody knows how long it is.
        """
        if self.auth_time is None or self.auth_time > self.issued_at:
            return False
        return now - self.auth_time <= seconds

    def is_over(self, now: float) -> bool:
        """Whether the token has expired at `now`, the database's time in seconds since 1970.

        To the second: the same clock said when it begins, so there is no leeway to give (RFC 7519, section 4.1.4).
        """
        return now >= self.expires_at


def read_claims(said: Mapping[str, Any], kid: str, now: float, leeway: timedelta) -> Claims:
    """Return what the claims of a token say whose signature is good, at `now`, the database's time.

    The same rules as in `verifier/tokens.py`, which imports nothing of this.

    Raises:
        InvalidAccessToken: the token has expired.
        TypeError, ValueError, LookupError, AttributeError: no token of ours says this.
    """
    expires_at, issued_at = said["exp"], said["iat"]
    not_before = said.get("nbf", issued_at)
    if not all(type(time) is int for time in (expires_at, issued_at, not_before)):
        raise TypeError("exp, iat and nbf are integers")
    role, *_ = _roles(said["roles"])
    user_id, session_id, jti = UUID(said["sub"]), UUID(said["sid"]), said["jti"]
    auth_time, acr, amr = _authentication(said)
    found = Claims(user_id, session_id, role, expires_at, kid, issued_at, jti, auth_time, acr, amr)
    if found.is_over(now):
        raise InvalidAccessToken(Denial.EXPIRED, found.user_id)
    if max(issued_at, not_before) > now + leeway.total_seconds():
        raise ValueError("not valid yet")
    if not 0 < expires_at - issued_at <= MAX_ACCESS_LIFETIME.total_seconds():
        raise ValueError("lives longer than any token of ours, or ends before it begins")
    if not _CLIENT_ID.fullmatch(said["client_id"]) or not found.jti.isprintable():
        raise ValueError("could not stand in a header or a log, and add no line to it")
    return found


def _roles(listed: Any) -> list[str]:
    """The roles of a token, each of visible ASCII characters: one may become a header, which must stay one line."""
    if not isinstance(listed, list) or not all(isinstance(role, str) and _ROLE.fullmatch(role) for role in listed):
        raise TypeError("roles are a list of names")
    return listed


def _authentication(claims: Mapping[str, Any]) -> tuple[int | None, str | None, tuple[str, ...]]:
    """What is said of the sign-in: all three claims, or none in the token of an older service."""
    auth_time, acr, amr = (claims.get(name) for name in ("auth_time", "acr", "amr"))
    if auth_time is None and acr is None and amr is None:
        return None, None, ()
    if type(auth_time) is not int or not 0 <= auth_time < LATEST:
        raise TypeError("auth_time is a time in seconds")
    (acr,), (first, *more) = _roles([acr]), _roles(amr)
    return auth_time, acr, (first, *more)
