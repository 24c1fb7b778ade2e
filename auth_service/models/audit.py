"""The security trail: its table, its events, and who asked for what one of them tells."""

from contextvars import ContextVar
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import JSON, Index, String
from sqlmodel import Field

from auth_service.models.table import Table, UtcDateTime

AUDIT_FLOOR = timedelta(days=30)  # younger rows cannot be deleted at all; the triggers of the migration say the same


class SecurityEvent(StrEnum):
    """What is told both in the log and in the table `audit_events`."""

    ACCOUNT_REGISTERED = "account.registered"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    ACCOUNT_RENAMED = "account.renamed"
    ACCOUNT_ROLE_CHANGED = "account.role_changed"
    ACCOUNT_EXPORTED = "account.exported"
    ACCOUNT_DELETED = "account.deleted"
    ACCOUNT_EXPIRED = "account.expired"  # registered, and never verified nor used
    ACCOUNT_DELETE_REFUSED = "account.delete_refused"
    ACCOUNTS_IMPORTED = "accounts.imported"
    ACCOUNTS_EXPORTED = "accounts.exported"
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    STEP_UP_SUCCEEDED = "step_up.succeeded"
    STEP_UP_REFUSED = "step_up.refused"  # the password was wrong
    THROTTLE_BLOCKED = "throttle.blocked"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105  # an event, not a password
    PASSWORD_RESET_STARTED = "password.reset_started"  # noqa: S105
    PASSWORD_REHASHED = "password.rehashed"  # noqa: S105
    PASSWORD_CHANGE_REFUSED = "password.change_refused"  # noqa: S105
    PASSWORD_RESET = "password.reset"  # noqa: S105
    PASSWORD_REMOVED = "password.removed"  # noqa: S105  # passkeys alone sign in
    EMAIL_VERIFIED = "email.verified"
    EMAIL_CHANGED = "email.changed"
    EMAIL_CHANGE_REFUSED = "email.change_refused"
    EMAIL_CHANGE_PLANNED = "email.change_planned"
    EMAIL_CHANGE_STOPPED = "email.change_stopped"
    EMAIL_CHANGE_FAILED = "email.change_failed"
    FACTOR_ADDED = "factor.added"
    FACTOR_REPLACED = "factor.replaced"  # a new app in place of the one before
    FACTOR_REMOVED = "factor.removed"
    FACTOR_RENAMED = "factor.renamed"
    FACTOR_CODE_REFUSED = "factor.code_refused"
    FACTORS_RESET_PLANNED = "factors.reset_planned"
    FACTORS_RESET_STOPPED = "factors.reset_stopped"
    FACTORS_RESET = "factors.reset"  # all of an account, and its recovery codes
    RECOVERY_CODES_RENEWED = "recovery_codes.renewed"
    RECOVERY_CODE_USED = "recovery_code.used"
    PASSKEY_COUNTER_REFUSED = "passkey.counter_refused"  # it did not rise: the passkey may have been copied
    PASSKEY_COUNTER_FELL = "passkey.counter_fell"  # the same of a passkey that is synced, where it tells nothing
    LINK_REQUESTED = "link.requested"
    LINK_USED = "link.used"
    LINK_REFUSED = "link.refused"  # by whoever has the mail, and not the password
    SESSION_OPENED = "session.opened"  # by something else than a login
    SESSION_ENDED = "session.ended"
    ALL_SESSIONS_ENDED = "sessions.all_ended"
    REFRESH_REPLAYED = "refresh.replayed"  # within the grace, from another network or device than the rotation
    KEY_PUBLISHED = "signing_key.published"
    KEY_ACTIVATED = "signing_key.activated"
    KEY_RETIRED = "signing_key.retired"
    KEY_REMOVED = "signing_key.removed"
    KEY_REVOKED = "signing_key.revoked"
    KEY_REWRAPPED = "signing_key.rewrapped"


class Requester(NamedTuple):
    """Who asked, as far as it is known. `actor` is set where it is not the owner of the account: `cli:root`."""

    request_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    actor: str | None = None


THE_SERVICE = Requester(actor="service")

# Beside the calls and not in them: what ends a session need not know of headers.
REQUESTER: ContextVar[Requester] = ContextVar("requester", default=THE_SERVICE)


class AuditEvent(Table, table=True):
    """One line of the security trail, which only grows: triggers refuse every change, and whole months are dropped.

    No foreign key: the trail outlives the account.
    """

    __tablename__ = "audit_events"
    __table_args__: ClassVar[Any] = (
        Index("ix_audit_events_user_id_at", "user_id", "at"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    id: UUID = Field(primary_key=True)
    event: str = Field(sa_type=String(64))
    user_id: UUID | None = None
    session_id: UUID | None = None
    ip: str | None = Field(default=None, sa_type=String(45))
    user_agent: str | None = Field(default=None, sa_type=String(256))
    request_id: str | None = Field(default=None, sa_type=String(128))
    details: dict[str, str | int] = Field(sa_type=JSON)


AUDIT_EVENTS = Table.metadata.tables["audit_events"]
