"""What an operator at the command line does to accounts beyond what administrators do over HTTP."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from auth_service.errors import AccountDisabled, InvalidInput, NoSuchUser, Reason
from auth_service.identifiers import account_names, canonical_email, canonical_username
from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import (
    UNUSABLE,
    ChangeKind,
    LinkPurpose,
    LoginAccount,
    MailKind,
    ResetReason,
    Role,
    SecurityEvent,
    StopReason,
    User,
)
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.security.passwords.hashing import Passwords
from auth_service.services.factors.factor_reset import ensure_some, plan_reset, reset_factors
from auth_service.services.factors.stoppable_change import stop_changes
from auth_service.services.mail.link_issuer import LinkIssuer
from auth_service.services.mail.notices import Notices, requester_details
from auth_service.services.passwords.policy import PasswordPolicy

ACCOUNTS_AT_ONCE = 1000


class Operators:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_id(self, whose: str) -> UUID:
        """Return the id of the account with this id, e-mail address or username.

        Raises:
            NoSuchUser: there is none.
            InvalidInput: no account can have it.
        """
        user_id = _uuid(whose)
        async with self._database.statement() as tx:
            user: User | LoginAccount | None = await tx.users.find_user(user_id) if user_id else None
            if user is None and "@" in whose:
                user = await tx.users.find_by_email(canonical_email(whose))
            elif user is None:
                user = await tx.users.find_by_username(canonical_username(whose))
        if user is None:
            raise NoSuchUser
        return user.id

    @retried
    async def create(
        self,
        email: str,
        username: str | None,
        hashed_password: str,
        role: Role,
        addresses: AddressPolicy,
        *,
        is_verified: bool,
    ) -> User:
        """Create an account. No mail is sent, and nothing is throttled.

        Raises:
            InvalidFields: the e-mail address or the username cannot be taken.
            AccountExists: one of them is already taken.
        """
        names = account_names(email, username, addresses.accept)
        values = {**names, "hashed_password": hashed_password, "role": role, "is_verified": is_verified}
        async with self._database.transaction() as tx:
            return await tx.users.add(values)

    @retried
    async def reset_link(self, user_id: UUID, issuer: LinkIssuer) -> str:
        """Make a link to choose a new password, in place of any before, for the operator to hand over.

        Raises:
            NoSuchUser: there is none of this id.
            AccountDisabled: the link could not be used.
        """
        async with self._database.transaction() as tx:
            user = await tx.users.lock(user_id)
            if user is None:
                raise NoSuchUser
            token = await issuer.mint_reset(tx, user)
            if token is None:
                raise AccountDisabled
            await tx.audit.add(SecurityEvent.PASSWORD_RESET_STARTED, user_id)
        return issuer.link(MailKind.RESET_PASSWORD, token)

    @retried
    async def verify_email(self, user_id: UUID) -> None:
        """Mark the address of an account as verified, unless it is already; raises `NoSuchUser`."""
        async with self._database.transaction() as tx:
            if not await tx.link_uses.verify_email(user_id) and await tx.users.find_user(user_id) is None:
                raise NoSuchUser

    async def end_all_sessions(self) -> int:
        """End every session of every account, some accounts at a time; return how many accounts there are.

        Links of before are dead too, and pending changes do not happen. Access tokens are good until they expire, as
        no process is told each session.
        """
        count, last = 0, UUID(int=0)
        while ids := await self._end_sessions_after(last):
            count, last = count + len(ids), ids[-1]
        await self._stop_changes()
        return count

    @retried
    async def _stop_changes(self) -> None:
        async with self._database.transaction() as tx:
            for user_id in await tx.pending_changes.find_all():
                await stop_changes(tx, user_id, StopReason.ALL_SESSIONS_ENDED)

    @retried
    async def _end_sessions_after(self, user_id: UUID) -> list[UUID]:
        async with self._database.transaction() as tx:
            return await tx.user_administration.end_sessions_after(user_id, ACCOUNTS_AT_ONCE)

    @retried
    async def set_email(
        self, user_id: UUID, new_email: str, notices: Notices, addresses: AddressPolicy, *, is_verified: bool
    ) -> None:
        """Change the address of an account at once. Its sessions stay; links of before, sent or not, are dead for good.

        The old address gets a notice, and the new one a link to verify it unless it is verified, where mail is sent.

        Raises:
            NoSuchUser: there is none of this id.
            InvalidInput: the new address cannot be taken, or is the account's own.
            AccountExists: it is already taken.
        """
        canonical, new_email = addresses.accept(new_email, "new_email"), new_email.strip()
        async with self._database.transaction() as tx:
            user = await tx.users.lock(user_id)
            if user is None:
                raise NoSuchUser
            if not await tx.user_administration.set_email(user_id, new_email, canonical, is_verified=is_verified):
                raise InvalidInput("new_email", Reason.UNCHANGED, "Is already the address of this account.")
            await tx.registrations.forget(user_id)
            await tx.link_uses.withdraw(user, *LinkPurpose)
            await stop_changes(tx, user_id, StopReason.OTHER_CHANGE, ChangeKind.EMAIL)
            if notices.is_configured:
                details = requester_details()
                await tx.outbox.add(MailKind.EMAIL_CHANGED, user_id, user.email, new_email=new_email, **details)
                if not is_verified:
                    await tx.outbox.add(MailKind.VERIFY_EMAIL, user_id)

    @retried
    async def plan_factor_reset(self, user_id: UUID, notices: Notices, delay: timedelta) -> datetime:
        """Let an account lose its second factors after the delay, in which the owner can stop it; return when.

        Raises:
            MailNotConfigured: the owner could not be told.
            NoSuchUser, AccountDisabled, NoSuchFactor: as `plan_reset()` has them.
        """
        notices.ensure_configured()
        async with self._database.transaction() as tx:
            return await plan_reset(tx, user_id, delay)

    @retried
    async def reset_factors(self, user_id: UUID, notices: Notices) -> int:
        """Remove the second factors and recovery codes of an account at once; return how many sessions ended.

        The owner gets a notice where mail is sent.

        Raises:
            NoSuchUser: there is none of this id.
            NoSuchFactor: there is nothing to remove.
        """
        async with self._database.transaction() as tx:
            user = await tx.users.lock(user_id)
            if user is None:
                raise NoSuchUser
            await ensure_some(tx, user_id)
            _, ended = await reset_factors(tx, user, ResetReason.OPERATOR, notices)
            return len(ended)


async def hash_chosen(
    password: str | None, names: tuple[str | None, ...], policy: PasswordPolicy, passwords: Passwords
) -> str:
    """Return the hash of a password that the policy takes for an account of these names; without one, the unusable.

    Raises:
        InvalidPassword: the policy refuses it.
    """
    if password is None:
        return UNUSABLE
    accepted = policy.accept("password", password, names)
    return await asyncio.to_thread(passwords.hash, accepted)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
