"""Where a sign-in comes from, and what it gives."""

from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID


class Device(NamedTuple):
    """Where a login comes from, for the owner's list of sessions."""

    user_agent: str | None
    ip: str | None


@dataclass(frozen=True)
class TokenPair:
    """What a client gets. `refresh_expires_in` is in seconds, if nothing is refreshed before."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    session_id: UUID
