"""What an access token says about its bearer."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token that has been verified. Times are in UTC; `token_id` is the `jti` claim.

    When (`auth_time`), how sure (`acr`) and by which methods (`amr`, RFC 8176) its bearer signed in: an older service
    says none of the three.
    """

    user_id: UUID
    session_id: UUID
    roles: tuple[str, ...]
    client_id: str
    token_id: str
    issued_at: datetime
    expires_at: datetime
    auth_time: datetime | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
