"""Bodies and answers of the routes for the owner's account."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from auth_service.api.schemas.accounts import Account
from auth_service.api.schemas.factors import FactorItem, PasskeyItem
from auth_service.api.schemas.fields import Answer, Body, Password, Username
from auth_service.api.schemas.links import DelayedChange, PendingEmail
from auth_service.api.schemas.sessions import DeviceSession


class RenameBody(Body):
    username: Username | None


class DeleteAccountBody(Body):
    current_password: Annotated[Password | None, Field(description="Not needed; if it is given, it must be right")] = (
        None
    )


class ExportedEvent(Answer):
    """An event of the security trail. `by` is `owner`, `admin`, `cli` or `service`; addresses are the owner's only."""

    at: datetime
    event: str
    by: str
    session_id: UUID | None
    ip: str | None
    user_agent: str | None
    details: dict[str, str | int]


class AccountExport(Answer):
    """All data kept about an account; sessions and events are newest first.

    Except the password hash, the secrets and keys of second factors, and what would tell the holder of a copied token
    when and from where a device refreshes (events `refresh.replayed`).
    """

    exported_at: datetime
    account: Account
    pending_email: PendingEmail | None
    pending_factors_reset: DelayedChange | None
    factors: list[PasskeyItem | FactorItem]
    recovery_codes_left: int
    sessions: list[DeviceSession]
    events: list[ExportedEvent]
