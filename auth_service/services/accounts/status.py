"""Whether an account may be used, and its removal. A disabled or removed account is out everywhere, for good."""

from collections.abc import Sequence
from uuid import UUID

from auth_service.errors import InvalidCredentials, LastAdmin, NoSuchUser
from auth_service.models import EndReason, StopReason
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.services.factors.stoppable_change import stop_changes


async def remove_account(tx: Transaction, user_id: UUID, credential_epoch: int | None = None) -> Sequence[UUID]:
    """Remove an account in this transaction; return which sessions ended with it.

    The user's row is locked first, then the sessions': a login waits, or comes before and is ended with the others.

    Raises:
        NoSuchUser: it is gone already.
        InvalidCredentials: its credentials are not those of this epoch any more.
        LastAdmin: no administrator would be left.
    """
    if not await tx.user_administration.lock_for_removal(user_id, credential_epoch):
        user = await tx.users.find_user(user_id)
        if user is None:
            raise NoSuchUser
        raise LastAdmin if credential_epoch in {None, user.credential_epoch} else InvalidCredentials
    ended = await tx.user_sessions.revoke_of_user(user_id, EndReason.USER_DELETED)
    await tx.user_administration.remove(user_id)
    return ended


@retried
async def set_account_active(database: Database, whose: UUID | str, *, active: bool) -> Sequence[UUID]:
    """Enable or disable the account of a user's id or a canonical address; return which sessions ended with it.

    The epoch rises both ways, so that no session from before ever comes back.

    Raises:
        NoSuchUser: there is none.
        LastAdmin: no administrator would be left.
    """
    async with database.transaction() as tx:
        user_id = await tx.user_administration.set_active(whose, active=active)
        if user_id is None:
            user = await tx.users.find_user(whose)
            if user is None:
                raise NoSuchUser
            if user.is_active is not active:
                raise LastAdmin
            return ()  # it is so already, and its sessions stay
        if not active:
            await stop_changes(tx, user_id, StopReason.DISABLED)
        return await tx.user_sessions.revoke_of_user(user_id, EndReason.USER_DISABLED)
