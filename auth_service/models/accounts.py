"""An account as it is read for one thing only, where a whole `User` would be more than is needed."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

UNUSABLE = "!"  # stored for an account without a password: no login opens it, until a reset sets one


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as it is shown: columns of `User`, without what is for the service alone."""

    id: UUID
    email: str
    username: str | None
    role: str
    is_active: bool
    is_verified: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class LoginAccount:
    """What a login asks of an account: columns of `User`, whether it has a second factor that counts, and whether an
    administrator has asked to have its factors reset.

    Whoever opens a session in place of others has asked for that before.
    """

    id: UUID
    hashed_password: str = field(repr=False)
    role: str
    is_active: bool
    is_verified: bool
    credential_epoch: int
    has_factor: bool = False
    awaits_reset: bool = False
