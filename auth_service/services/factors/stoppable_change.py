"""What changes of an account that wait for their time have in common: their owner hears of them, and can stop them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from auth_service.errors import AccountDisabled, AdminsOwnAccount, InvalidLink, NoPendingChange, NoSuchUser
from auth_service.models import NOTICES_OF, REQUESTER, ChangeKind, MailKind, PendingChange, StopReason, User
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.security.tokens.link_tokens import hash_link_token
from auth_service.services.mail.notices import Notices
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.throttling.rate_limits import RateLimits

AT_ONCE = 100
_FURTHER_MAILS = {ChangeKind.EMAIL: (MailKind.EMAIL_CHANGE_ANNOUNCED,)}


class StoppableChange(ABC):
    """`delay` is the time until a change takes effect, of which the owner has had notice for at least half."""

    kind: ClassVar[ChangeKind]

    def __init__(
        self, database: Database, revocations: Revocations, rate_limits: RateLimits, notices: Notices, delay: timedelta
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._rate_limits = rate_limits
        self._notices = notices
        self._delay = delay

    async def find(self, user_id: UUID) -> PendingChange:
        """Return the change that a user's account is to have; raises `NoPendingChange`."""
        async with self._database.statement() as tx:
            change = await tx.pending_changes.find(user_id, self.kind)
        if change is None:
            raise NoPendingChange
        return change

    @retried
    async def stop(self, user_id: UUID, reason: StopReason) -> None:
        """Let the change not happen; raises `NoPendingChange`, also when it has taken effect."""
        async with self._database.transaction() as tx:
            if not await stop_changes(tx, user_id, reason, self.kind):
                raise NoPendingChange

    @retried
    async def keep(self, token: str) -> None:
        """Stop the change of which a mail with this link told; raises `InvalidLink`."""
        async with self._database.transaction() as tx:
            user_id = await tx.pending_changes.stop_by_link(hash_link_token(token), self.kind)
            if user_id is None:
                raise InvalidLink
            await take_back_mails(tx, user_id, self.kind)

    async def apply_due(self) -> None:
        """Make the changes whose time has come, however long ago, each once over all processes."""
        async with self._database.statement() as tx:
            due = await tx.pending_changes.find_due(self.kind, self._delay / 2, AT_ONCE)
        for user_id in due:
            self._revocations.add(await self._apply(user_id))

    @abstractmethod
    async def _apply(self, user_id: UUID) -> Sequence[UUID]:
        """Make a change, if it is (still) due; return which sessions ended with it."""

    async def _admit(self, user_id: UUID, admin_id: UUID) -> None:
        """Count that an administrator asks for a change of somebody.

        Raises:
            MailNotConfigured: nobody could be told.
            AdminsOwnAccount: it is the administrator's own.
            TooManyAttempts: the owner was told too often already.
        """
        self._notices.ensure_configured()
        if user_id == admin_id:
            raise AdminsOwnAccount
        await self._rate_limits.link_request(NOTICES_OF[self.kind], str(user_id), REQUESTER.get().ip)

    async def _take(self, tx: Transaction, user_id: UUID) -> tuple[User, PendingChange] | None:
        """Lock a user and take the change that is due, once and for all; None if there is none, any more."""
        user = await tx.users.lock(user_id)
        if user is not None and not user.is_active:  # by SQL, or by an older service: others stop it themselves
            await stop_changes(tx, user_id, StopReason.DISABLED, self.kind)
            return None
        change = await tx.pending_changes.take(user_id, self.kind, self._delay / 2)
        return (user, change) if user and change else None  # another process was faster, or it was stopped


async def lock_whom_to_tell(tx: Transaction, user_id: UUID) -> User:
    """Lock a user whose account is to be changed.

    Raises:
        NoSuchUser: there is none of this id.
        AccountDisabled: nobody could sign in and stop it.
    """
    user = await tx.users.lock(user_id)
    if user is None:
        raise NoSuchUser
    if not user.is_active:
        raise AccountDisabled
    return user


async def stop_changes(tx: Transaction, user_id: UUID, reason: StopReason, *kinds: ChangeKind) -> bool:
    """Let pending changes of these kinds, or of all, not happen, in this transaction; False if there is none."""
    stopped = [kind for kind in kinds or ChangeKind if await tx.pending_changes.stop(user_id, kind, reason)]
    for kind in stopped:
        await take_back_mails(tx, user_id, kind)
    return bool(stopped)


async def take_back_mails(tx: Transaction, user_id: UUID, kind: ChangeKind) -> None:
    """What was not sent yet would tell of what will not happen."""
    await tx.outbox.withdraw(user_id, NOTICES_OF[kind], *_FURTHER_MAILS.get(kind, ()))
