"""Changes of an account that take effect after a delay, so that its owner can stop them."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Index, LargeBinary, String
from sqlmodel import Field

from auth_service.models.table import Table, UtcDateTime


class ChangeKind(StrEnum):
    """What would change."""

    EMAIL = "email"
    FACTORS = "factors"  # all second factors, which would be gone


class StopReason(StrEnum):
    """Why a change does not take effect, as the trail tells it."""

    ADMINISTRATOR = "administrator"
    SESSION = "session"  # the owner, from a device that is signed in
    LINK = "link"  # whoever reads the mail to the owner
    SIGN_IN = "sign_in"  # with what would be gone: it was not lost
    DISABLED = "disabled"  # an account that nobody can sign in to has no owner who could stop anything
    OTHER_CHANGE = "other_change"  # the same was changed in another way
    ALL_SESSIONS_ENDED = "all_sessions_ended"  # after a restore, which may have brought back what was stopped


class PendingChange(Table, table=True):
    """The one change of a kind that an administrator asked for; a newer one takes its place.

    It takes effect no sooner than at `effective_at`, and the row is gone as soon as it did, or was stopped. `stop_hash`
    is the hash of the link that stops it; `asked_at` moves on to when the mail with that link is sent. Neither
    credentials nor sessions of the account are a part of that: nothing that an administrator can change takes the link
    away from the owner.
    """

    __tablename__ = "pending_changes"
    __table_args__: ClassVar[Any] = (Index("uq_pending_changes_stop_hash", "stop_hash", unique=True),)

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    kind: str = Field(primary_key=True, sa_type=String(32))
    new_email: str | None = Field(default=None, sa_type=String(320))
    asked_at: datetime = Field(sa_type=UtcDateTime)
    effective_at: datetime = Field(sa_type=UtcDateTime, index=True)
    stop_hash: bytes | None = Field(default=None, sa_type=LargeBinary(32))


PENDING_CHANGES = Table.metadata.tables["pending_changes"]
