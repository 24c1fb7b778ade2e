"""What a sign-in gives."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True)
class TokenPair:
    """What a client gets. Lives are in seconds, that of the refresh token if nothing is refreshed before."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    session_id: UUID
