"""The way back for owners who lost their second factors and recovery codes: administrators and operators reset them.

It takes effect after a delay, of which the owner is told, and until then whoever reads their mail, is signed in, or
signs in with a factor stops it: who knows a password could else talk an administrator into it. Nothing else lowers the
factors of an account, but for a takeover of one whose address was never verified.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from auth_service.errors import NoSuchFactor
from auth_service.models import ChangeKind, EndReason, LoginAccount, MailKind, ResetReason, StopReason, User
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.services.factors.factor_changes import end_sessions
from auth_service.services.factors.stoppable_change import (
    StoppableChange,
    lock_whom_to_tell,
    stop_changes,
    take_back_mails,
)
from auth_service.services.mail.notices import Notices


class FactorReset(StoppableChange):
    kind: ClassVar[ChangeKind] = ChangeKind.FACTORS

    async def ask(self, user_id: UUID, admin_id: UUID) -> datetime:
        """Let an account lose its factors after the delay, in place of a reset asked for before; return when.

        Raises:
            MailNotConfigured, AdminsOwnAccount, TooManyAttempts: as `StoppableChange` has them.
            NoSuchUser, AccountDisabled, NoSuchFactor: as `plan_reset()` has them.
        """
        await self._admit(user_id, admin_id)
        return await self._plan(user_id)

    async def apply_at_sign_in(self, account: LoginAccount) -> LoginAccount:
        """Make a reset that is due before somebody who knows the password goes on; return the account as it is then.

        No schedule need have run: from its time on, a reset is in effect.
        """
        changed, ended = await self._apply_for(account)
        self._revocations.add(ended)
        return changed

    @retried
    async def _plan(self, user_id: UUID) -> datetime:
        async with self._database.transaction() as tx:
            return await plan_reset(tx, user_id, self._delay)

    @retried
    async def _apply(self, user_id: UUID) -> Sequence[UUID]:
        async with self._database.transaction() as tx:
            taken = await self._take(tx, user_id)
            if taken is None:
                return ()
            _, ended = await reset_factors(tx, taken[0], ResetReason.DELAY_OVER, self._notices)
            return ended

    @retried
    async def _apply_for(self, account: LoginAccount) -> tuple[LoginAccount, Sequence[UUID]]:
        async with self._database.transaction() as tx:
            taken = await self._take(tx, account.id)
            if taken is None:
                return account, ()
            user = taken[0]
            changed, ended = await reset_factors(tx, user, ResetReason.DELAY_OVER, self._notices)
            is_proved = user.credential_epoch == account.credential_epoch  # else it was another password that was right
            return changed if is_proved else account, ended


async def plan_reset(tx: Transaction, user_id: UUID, delay: timedelta) -> datetime:
    """Let an account lose its factors after the delay, and have its owner told; return when.

    Raises:
        NoSuchUser: there is none of this id.
        AccountDisabled: nobody could sign in and stop it.
        NoSuchFactor: there is nothing to lose.
    """
    await lock_whom_to_tell(tx, user_id)
    await ensure_some(tx, user_id)
    effective_at = await tx.pending_changes.plan(user_id, ChangeKind.FACTORS, delay)
    await take_back_mails(tx, user_id, ChangeKind.FACTORS)
    await tx.outbox.add(MailKind.FACTORS_RESET_PLANNED, user_id, effective_at=effective_at.isoformat())
    return effective_at


async def ensure_some(tx: Transaction, user_id: UUID) -> None:
    """Raise `NoSuchFactor` if a user has no factor that counts."""
    if not await tx.factors.list_of_user(user_id):
        raise NoSuchFactor("The user has no second factor.")


async def reset_factors(
    tx: Transaction, user: User, reason: ResetReason, notices: Notices
) -> tuple[LoginAccount, Sequence[UUID]]:
    """Remove the factors and recovery codes of a user who is locked, and tell them; return the account as it is now,
    and which sessions ended.
    """
    await stop_changes(tx, user.id, StopReason.OTHER_CHANGE, ChangeKind.FACTORS)
    await tx.factors.remove_all(user.id, reason)
    if notices.is_configured:
        await tx.outbox.add(MailKind.FACTORS_RESET, user.id)
    return await end_sessions(tx, user, EndReason.FACTORS_RESET)
