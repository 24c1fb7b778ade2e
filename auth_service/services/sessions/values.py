"""What a sign-in gives."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True)
class TokenPair:
    """What a client gets. `refresh_expires_in` is in seconds, if nothing is refreshed before."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    session_id: UUID
