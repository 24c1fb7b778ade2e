"""What administrators do about other people's accounts. They neither see nor choose a password."""

from collections.abc import Sequence
from uuid import UUID

from auth_service.errors import LastAdmin, NoSuchUser
from auth_service.identifiers import account_names
from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import UNUSABLE, EndReason, MailKind, Role, SecurityEvent, User
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.services.accounts.status import remove_account, set_account_active
from auth_service.services.mail.notices import Notices
from auth_service.services.sessions.revocations import Revocations


class Administration:
    def __init__(
        self, database: Database, revocations: Revocations, notices: Notices, addresses: AddressPolicy
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._notices = notices
        self._addresses = addresses

    @retried
    async def create(self, email: str, username: str | None, role: Role) -> User:
        """Create an account without a password, and invite its owner by mail to choose one.

        Raises:
            MailNotConfigured: the invitation could not be sent.
            InvalidFields: the e-mail address or the username cannot be taken.
            AccountExists: one of them is already taken.
        """
        self._notices.ensure_configured()
        values = {**account_names(email, username, self._addresses.accept), "hashed_password": UNUSABLE, "role": role}
        async with self._database.transaction() as tx:
            user = await tx.users.add(values)
            await tx.outbox.add(MailKind.INVITATION, user.id)
            return user

    async def set_role(self, user_id: UUID, role: Role) -> User:
        """Change a user's role; return the account. Its sessions end, because access tokens carry the role.

        Raises:
            NoSuchUser: there is none of this id.
            LastAdmin: no administrator would be left.
        """
        self._revocations.add(await self._set_role(user_id, role))
        return await self._show(user_id)

    @retried
    async def _set_role(self, user_id: UUID, role: Role) -> Sequence[UUID]:
        async with self._database.transaction() as tx:
            if not await tx.user_administration.set_role(user_id, role):
                user = await tx.users.find_user(user_id)
                if user is None:
                    raise NoSuchUser
                if user.role != role:
                    raise LastAdmin
                return ()  # it is so already
            return await tx.user_sessions.revoke_of_user(user_id, EndReason.ADMIN)

    async def set_active(self, user_id: UUID, *, active: bool) -> User:
        """Enable or disable an account, and return it; its sessions end for good. Raises as `set_role`."""
        self._revocations.add(await set_account_active(self._database, user_id, active=active))
        return await self._show(user_id)

    @retried
    async def end_sessions(self, user_id: UUID) -> int:
        """End every session of a user; return how many; raises `NoSuchUser`."""
        async with self._database.statement() as tx:
            ended = await tx.user_sessions.revoke_of_user(user_id, EndReason.ADMIN)
            if not ended and await tx.users.find_user(user_id) is None:
                raise NoSuchUser
        self._revocations.add(ended)
        return len(ended)

    @retried
    async def start_reset(self, user_id: UUID) -> None:
        """Have a link sent to a user to choose a new password; nothing ends before it is used.

        Raises:
            MailNotConfigured: it could not be sent.
            NoSuchUser: there is none of this id.
        """
        self._notices.ensure_configured()
        async with self._database.transaction() as tx:
            if not await tx.users.hold(user_id):
                raise NoSuchUser
            await tx.outbox.add(MailKind.RESET_PASSWORD, user_id)
            await tx.audit.add(SecurityEvent.PASSWORD_RESET_STARTED, user_id)

    async def _show(self, user_id: UUID) -> User:
        async with self._database.statement() as tx:
            user = await tx.users.find_user(user_id)
        if user is None:
            raise NoSuchUser
        return user

    @retried
    async def delete(self, user_id: UUID) -> None:
        """Delete an account, and by cascade all that hangs on it; the trail stays. Raises as `set_role`."""
        async with self._database.transaction() as tx:
            ended = await remove_account(tx, user_id)
        self._revocations.add(ended)
