"""A change of the e-mail address that an administrator asks for, for an owner who lost the mailbox.

It takes effect after a delay, of which both addresses are told, and until then whoever reads the mail at the old one or
is signed in can stop it: who changes an address could else have the link of a password reset sent there.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from auth_service.errors import (
    AccountDisabled,
    AccountExists,
    AdminsOwnAccount,
    InvalidInput,
    InvalidLink,
    NoPendingChange,
    NoSuchUser,
)
from auth_service.identifiers import canonical_email
from auth_service.models import (
    REQUESTER,
    ChangeKind,
    EndReason,
    LinkPurpose,
    MailKind,
    PendingChange,
    SecurityEvent,
    StopReason,
)
from auth_service.repositories.transaction import Database, Transaction, retried
from auth_service.security.link_tokens import hash_link_token
from auth_service.services.mail.notices import Notices
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.throttling.throttle import Throttler

AT_ONCE = 100


class DelayedEmailChange:
    """`delay` is the time until a change takes effect, of which the owner has had notice for at least half."""

    def __init__(
        self, database: Database, revocations: Revocations, throttle: Throttler, notices: Notices, delay: timedelta
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._throttle = throttle
        self._notices = notices
        self._delay = delay

    async def ask(self, user_id: UUID, new_email: str, admin_id: UUID) -> datetime:
        """Let an account have another address after the delay, in place of a change asked for before; return when.

        Raises:
            MailNotConfigured: nobody could be told.
            AdminsOwnAccount: it is the administrator's own.
            InvalidInput: the new address cannot be taken, or is the account's own.
            TooManyAttempts: the owner was told too often already.
            NoSuchUser: there is none of this id.
            AccountDisabled: nobody could sign in and stop it.
            AccountExists: the new address is already taken.
        """
        self._notices.ensure_configured()
        if user_id == admin_id:
            raise AdminsOwnAccount
        canonical = canonical_email(new_email)
        await self._throttle.link_request(MailKind.EMAIL_CHANGE_PLANNED, str(user_id), REQUESTER.get().ip)
        return await self._plan(user_id, new_email.strip(), canonical)

    async def find(self, user_id: UUID) -> PendingChange:
        """Return the change that a user's account is to have; raises `NoPendingChange`."""
        async with self._database.statement() as tx:
            change = await tx.pending_changes.find(user_id, ChangeKind.EMAIL)
        if change is None:
            raise NoPendingChange
        return change

    @retried
    async def stop(self, user_id: UUID, reason: StopReason) -> None:
        """Let the change not happen; raises `NoPendingChange`, also when it has taken effect."""
        async with self._database.transaction() as tx:
            if not await stop_email_change(tx, user_id, reason):
                raise NoPendingChange

    @retried
    async def keep(self, token: str) -> None:
        """Stop the change of which a mail with this link told; raises `InvalidLink`."""
        async with self._database.transaction() as tx:
            user_id = await tx.pending_changes.stop_by_link(hash_link_token(token), ChangeKind.EMAIL)
            if user_id is None:
                raise InvalidLink
            await _take_back_mails(tx, user_id)

    async def apply_due(self) -> None:
        """Make the changes whose time has come, however long ago, each once over all processes."""
        async with self._database.statement() as tx:
            due = await tx.pending_changes.find_due(ChangeKind.EMAIL, self._delay / 2, AT_ONCE)
        for user_id in due:
            try:
                self._revocations.add(await self._apply(user_id))
            except (AccountExists, InvalidInput):
                await self._give_up(user_id)

    @retried
    async def _plan(self, user_id: UUID, new_email: str, canonical: str) -> datetime:
        async with self._database.transaction() as tx:
            user = await tx.users.lock(user_id)
            if user is None:
                raise NoSuchUser
            if not user.is_active:
                raise AccountDisabled
            if canonical == user.email_canonical:
                raise InvalidInput("email", "Is already the address of this account.")
            if await tx.users.find_by_email(canonical) is not None:
                raise AccountExists  # for a quick answer: when it takes effect, the unique index decides
            effective_at = await tx.pending_changes.plan(user_id, ChangeKind.EMAIL, self._delay, new_email)
            await _take_back_mails(tx, user_id)
            told = {"new_email": new_email, "effective_at": effective_at.isoformat()}
            await tx.outbox.add(MailKind.EMAIL_CHANGE_PLANNED, user_id, **told)
            await tx.outbox.add(MailKind.EMAIL_CHANGE_ANNOUNCED, user_id, new_email, **told)
            return effective_at

    @retried
    async def _apply(self, user_id: UUID) -> Sequence[UUID]:
        """Give an account its new address, which nobody has proved to have; return which sessions ended with it."""
        async with self._database.transaction() as tx:
            user = await tx.users.lock(user_id)
            if user is not None and not user.is_active:  # by SQL, or by an older service: others stop it themselves
                await stop_email_change(tx, user_id, StopReason.DISABLED)
                return ()
            new = await tx.pending_changes.take(user_id, ChangeKind.EMAIL, self._delay / 2)
            if user is None or new is None:
                return ()  # another process was faster, or it was stopped
            if not await tx.users.set_email(user_id, new, canonical_email(new), is_verified=False):
                return ()
            ended = await tx.user_sessions.revoke_of_user(user_id, EndReason.ADMIN)
            await tx.registrations.forget(user_id)
            await tx.link_uses.withdraw(user, *LinkPurpose)
            if self._notices.is_configured:
                await tx.outbox.add(MailKind.EMAIL_CHANGED, user_id, user.email, new_email=new)
                await tx.outbox.add(MailKind.EMAIL_CHANGED, user_id, new_email=new)
                await tx.outbox.add(MailKind.VERIFY_EMAIL, user_id)
            return ended

    @retried
    async def _give_up(self, user_id: UUID) -> None:
        """Note that the new address cannot be had; the owner is not told why, since that would be about another."""
        async with self._database.transaction() as tx:
            await tx.users.hold(user_id)  # the mail will refer to it: users before all else, as everywhere
            if await tx.pending_changes.take(user_id, ChangeKind.EMAIL, self._delay / 2) is None:
                return
            await tx.audit.add(SecurityEvent.EMAIL_CHANGE_FAILED, user_id)
            if self._notices.is_configured:
                await tx.outbox.add(MailKind.EMAIL_CHANGE_FAILED, user_id)


async def stop_email_change(tx: Transaction, user_id: UUID, reason: StopReason) -> bool:
    """Let the pending change of an address not happen, in this transaction; False if there is none."""
    stopped = await tx.pending_changes.stop(user_id, ChangeKind.EMAIL, reason)
    if stopped:
        await _take_back_mails(tx, user_id)
    return stopped


async def _take_back_mails(tx: Transaction, user_id: UUID) -> None:
    """What was not sent yet would tell of what will not happen."""
    await tx.outbox.withdraw(user_id, MailKind.EMAIL_CHANGE_PLANNED, MailKind.EMAIL_CHANGE_ANNOUNCED)
