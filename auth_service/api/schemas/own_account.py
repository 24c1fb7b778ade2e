"""What goes in and out of the routes about one's own account."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from auth_service.api.schemas.common import Account, Body, DeviceSession, Password, Username


class RenameBody(Body):
    username: Username | None


class DeleteAccountBody(Body):
    current_password: Password


class ExportedEvent(BaseModel):
    """A line of the security trail. `by` is `owner`, `admin`, `cli` or `service`; of others no address is told."""

    at: datetime
    event: str
    by: str
    session_id: UUID | None
    ip: str | None
    user_agent: str | None
    details: dict[str, str | int]


class AccountExport(BaseModel):
    """All that is kept about an account but its password's hash; the newest session and event come first."""

    exported_at: datetime
    account: Account
    sessions: list[DeviceSession]
    events: list[ExportedEvent]
