"""An account as it is shown."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Profile:
    """An account as its owner sees it; the fields are columns of `User`, without what nobody is shown."""

    id: UUID
    email: str
    username: str | None
    role: str
    is_active: bool
    is_verified: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None
