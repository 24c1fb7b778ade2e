"""What the service writes to people and the links in it, and the tables of what is to be sent and of what was."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import JSON, Index, LargeBinary, String
from sqlmodel import Field
from uuid_utils.compat import uuid7

from auth_service.models.pending_changes import ChangeKind
from auth_service.models.table import Table, UtcDateTime
from auth_service.settings import MAX_CHANGE_DELAY


class MailKind(StrEnum):
    """One kind of mail. `LINKS` has those that carry a link."""

    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105  # a kind of mail, not a password
    INVITATION = "invitation"  # an account made by an administrator, whose owner chooses the password
    APPROVE_EMAIL_CHANGE = "approve-email-change"  # to the address of before
    CONFIRM_EMAIL_CHANGE = "confirm-email-change"  # to the new one
    EMAIL_CHANGE_PLANNED = "email-change-planned"  # by an administrator: to the address of now
    EMAIL_CHANGE_ANNOUNCED = "email-change-announced"  # to the new one
    EMAIL_CHANGE_FAILED = "email-change-failed"  # to the address that stays
    REGISTERED_AGAIN = "registered-again"  # a registration with an address that has an account
    PASSWORD_CHANGED = "password-changed"  # noqa: S105
    EMAIL_CHANGED = "email-changed"
    REUSE_DETECTED = "reuse-detected"
    NEW_DEVICE = "new-device"
    FACTOR_ADDED = "factor-added"
    FACTOR_REMOVED = "factor-removed"
    RECOVERY_CODES_RENEWED = "recovery-codes-renewed"
    RECOVERY_CODE_USED = "recovery-code-used"
    SECOND_FACTOR_GUESSED = "second-factor-guessed"
    STEP_UP_GUESSED = "step-up-guessed"
    PASSKEY_REFUSED = "passkey-refused"  # its counter did not rise: it may have been copied
    PASSWORD_REMOVED = "password-removed"  # noqa: S105
    FACTORS_RESET_PLANNED = "factors-reset-planned"  # by an administrator or an operator
    FACTORS_RESET = "factors-reset"


class LinkPurpose(StrEnum):
    """What a link may be used for, and nothing else."""

    VERIFY_EMAIL = "verify-email"
    RESET_PASSWORD = "reset-password"  # noqa: S105
    APPROVE_EMAIL_CHANGE = "approve-email-change"
    CONFIRM_EMAIL_CHANGE = "confirm-email-change"
    KEEP_EMAIL = "keep-email"
    KEEP_FACTORS = "keep-factors"


LINKS = {
    MailKind.VERIFY_EMAIL: (LinkPurpose.VERIFY_EMAIL, timedelta(hours=24)),
    MailKind.RESET_PASSWORD: (LinkPurpose.RESET_PASSWORD, timedelta(minutes=15)),
    MailKind.INVITATION: (LinkPurpose.RESET_PASSWORD, timedelta(hours=24)),
    MailKind.APPROVE_EMAIL_CHANGE: (LinkPurpose.APPROVE_EMAIL_CHANGE, timedelta(hours=24)),
    MailKind.CONFIRM_EMAIL_CHANGE: (LinkPurpose.CONFIRM_EMAIL_CHANGE, timedelta(hours=24)),
    MailKind.EMAIL_CHANGE_PLANNED: (LinkPurpose.KEEP_EMAIL, MAX_CHANGE_DELAY),
    MailKind.FACTORS_RESET_PLANNED: (LinkPurpose.KEEP_FACTORS, MAX_CHANGE_DELAY),
}
"""Which link a mail carries, and for how long that is good; one that stops a change is good as long as that is pending.
"""

STOPS = {LinkPurpose.KEEP_EMAIL: ChangeKind.EMAIL, LinkPurpose.KEEP_FACTORS: ChangeKind.FACTORS}
"""Which pending change a link stops. Its hash is kept with the change, and not among the other links."""

NOTICES_OF = {
    ChangeKind.EMAIL: MailKind.EMAIL_CHANGE_PLANNED,
    ChangeKind.FACTORS: MailKind.FACTORS_RESET_PLANNED,
}
"""The mail that tells an owner of a pending change."""

FOR_OWNERS = {
    MailKind.PASSWORD_CHANGED,
    MailKind.REUSE_DETECTED,
    MailKind.NEW_DEVICE,
    MailKind.FACTOR_ADDED,
    MailKind.FACTOR_REMOVED,
    MailKind.RECOVERY_CODES_RENEWED,
    MailKind.RECOVERY_CODE_USED,
    MailKind.SECOND_FACTOR_GUESSED,
    MailKind.STEP_UP_GUESSED,
    MailKind.PASSKEY_REFUSED,
    MailKind.PASSWORD_REMOVED,
}
"""Notices of what somebody does with an account. An address that was never verified may be a stranger's, who asked for
nothing: whoever registered with it could have these mails sent there.
"""

NOTICE_LIFE = timedelta(days=3)


class DueMail(NamedTuple):
    """A mail that this process has claimed: the `attempts`-th try to send it. `now` is the database's clock."""

    id: UUID
    kind: str
    user_id: UUID | None
    recipient: str | None
    details: dict[str, str | int]
    created_at: datetime
    attempts: int
    now: datetime

    @property
    def is_too_old(self) -> bool:
        """Whether it would come too late to be of use."""
        link = LINKS.get(MailKind(self.kind))
        return self.now - self.created_at > (link[1] if link else NOTICE_LIFE)


class OutgoingMail(Table, table=True):
    """A mail that is still to be sent: written with the change that it tells of, deleted once a server has taken it.

    It holds no link: the token of a link is made when the mail is sent, and only its hash is kept (`link_tokens`).
    Without `user_id` the owner is the account that has the address `recipient` when it is sent, if any; with both, it
    goes to `recipient` instead of the account's own address.
    """

    __tablename__ = "outgoing_mails"
    __table_args__: ClassVar[Any] = ({"postgresql_with": {"fillfactor": 85}},)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: str = Field(sa_type=String(32))
    user_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="CASCADE", index=True)
    recipient: str | None = Field(default=None, sa_type=String(640))
    details: dict[str, str | int] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    attempts: int = 0
    due_at: datetime = Field(sa_type=UtcDateTime, index=True)


class LinkToken(Table, table=True):
    """The one link of a purpose that a user can use now; a newer one takes its place.

    Bound to the address of its user at that time, and unless it is for whoever has a mailbox that was never verified,
    to the credentials: guards of the statement that uses it.
    """

    __tablename__ = "link_tokens"
    __table_args__: ClassVar[Any] = (Index("uq_link_tokens_token_hash", "token_hash", unique=True),)

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    purpose: str = Field(primary_key=True, sa_type=String(32))
    token_hash: bytes = Field(sa_type=LargeBinary(32))
    email_canonical: str = Field(sa_type=String(640))
    credential_epoch: int
    new_email: str | None = Field(default=None, sa_type=String(320))
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


OUTGOING_MAILS = Table.metadata.tables["outgoing_mails"]
LINK_TOKENS = Table.metadata.tables["link_tokens"]
