"""What the service writes to people, and the links in it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from auth_service.models.pending_changes import ChangeKind
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
