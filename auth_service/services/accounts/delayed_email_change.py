"""A change of the e-mail address that an administrator asks for, for an owner who lost the mailbox.

It takes effect after a delay, of which both addresses are told, and until then whoever reads the mail at the old one or
is signed in can stop it: who changes an address could else have the link of a password reset sent there.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from auth_service.errors import AccountExists, InvalidInput, Reason
from auth_service.identifiers import canonical_email
from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import ChangeKind, EndReason, LinkPurpose, MailKind, SecurityEvent
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.services.factors.stoppable_change import StoppableChange, lock_whom_to_tell, take_back_mails
from auth_service.services.mail.notices import Notices
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.throttling.rate_limits import RateLimits


class DelayedEmailChange(StoppableChange):
    kind: ClassVar[ChangeKind] = ChangeKind.EMAIL

    def __init__(
        self,
        database: Database,
        revocations: Revocations,
        rate_limits: RateLimits,
        notices: Notices,
        delay: timedelta,
        *,
        addresses: AddressPolicy,
    ) -> None:
        super().__init__(database, revocations, rate_limits, notices, delay)
        self._addresses = addresses

    async def ask(self, user_id: UUID, new_email: str, admin_id: UUID) -> datetime:
        """Let an account have another address after the delay, in place of a change asked for before; return when.

        Raises:
            MailNotConfigured, AdminsOwnAccount, TooManyAttempts: as `StoppableChange` has them.
            InvalidInput: the new address cannot be taken, or is the account's own.
            NoSuchUser: there is none of this id.
            AccountDisabled: nobody could sign in and stop it.
            AccountExists: the new address is already taken.
        """
        canonical = self._addresses.accept(new_email)
        await self._admit(user_id, admin_id)
        return await self._plan(user_id, new_email.strip(), canonical)

    async def _apply(self, user_id: UUID) -> Sequence[UUID]:
        try:
            return await self._change(user_id)
        except (AccountExists, InvalidInput):
            await self._give_up(user_id)
            return ()

    @retried
    async def _plan(self, user_id: UUID, new_email: str, canonical: str) -> datetime:
        async with self._database.transaction() as tx:
            user = await lock_whom_to_tell(tx, user_id)
            if canonical == user.email_canonical:
                raise InvalidInput("email", Reason.UNCHANGED, "Is already the address of this account.")
            if await tx.users.find_by_email(canonical) is not None:
                raise AccountExists  # for a quick answer: when it takes effect, the unique index decides
            effective_at = await tx.pending_changes.plan(user_id, self.kind, self._delay, new_email)
            await take_back_mails(tx, user_id, self.kind)
            told = {"new_email": new_email, "effective_at": effective_at.isoformat()}
            await tx.outbox.add(MailKind.EMAIL_CHANGE_PLANNED, user_id, **told)
            await tx.outbox.add(MailKind.EMAIL_CHANGE_ANNOUNCED, user_id, new_email, **told)
            return effective_at

    @retried
    async def _change(self, user_id: UUID) -> Sequence[UUID]:
        """Give an account its new address, which nobody has proved to have; return which sessions ended with it."""
        async with self._database.transaction() as tx:
            taken = await self._take(tx, user_id)
            if taken is None:
                return ()
            user, new = taken[0], taken[1].new_email or ""
            if not await tx.user_administration.set_email(user_id, new, canonical_email(new), is_verified=False):
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
            if await tx.pending_changes.take(user_id, self.kind, self._delay / 2) is None:
                return
            await tx.audit.add(SecurityEvent.EMAIL_CHANGE_FAILED, user_id)
            if self._notices.is_configured:
                await tx.outbox.add(MailKind.EMAIL_CHANGE_FAILED, user_id)
