"""What owners do with their account: rename it, take their data with them, and delete it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from auth_service.errors import InvalidAccessToken, NoSuchUser
from auth_service.identifiers import username_columns
from auth_service.models import (
    AccountView,
    AuditEvent,
    ChangeKind,
    FactorView,
    PendingChange,
    SecurityEvent,
    SessionRules,
    SessionView,
    Slice,
    User,
)
from auth_service.repositories.audit.trail import AuditFilter
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.services.accounts.reauthentication import Reauthentication
from auth_service.services.accounts.status import remove_account
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.rate_limits import RateLimits

AT_ONCE = 200  # rows of an export: what is made of them at once holds up nobody else's request


class Export(NamedTuple):
    """All that is kept about a user. Sessions and events come in pages, the newest first, each read when asked for."""

    account: AccountView
    pending: Mapping[ChangeKind, PendingChange]
    factors: Sequence[FactorView]
    recovery_codes_left: int
    sessions: AsyncIterator[Sequence[SessionView]]
    events: AsyncIterator[Sequence[AuditEvent]]
    at: datetime


class OwnAccount:
    def __init__(
        self,
        database: Database,
        revocations: Revocations,
        proof: Reauthentication,
        rate_limits: RateLimits,
        rules: SessionRules,
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._proof = proof
        self._rate_limits = rate_limits
        self._rules = rules

    async def rename(self, bearer: Bearer, username: str | None, client_ip: str | None) -> User:
        """Give the bearer another username, or none, asked for from this IP address; return the account.

        Raises:
            InvalidInput: the username cannot be taken.
            AccountExists: it is already taken, or looks like one that is.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: of this account, or from this IP address.
        """
        columns = username_columns(username)
        await self._rate_limits.username(bearer.user_id, client_ip)
        return await self._rename(bearer, columns)

    @retried
    async def _rename(self, bearer: Bearer, columns: Mapping[str, str | None]) -> User:
        async with self._database.transaction() as tx:
            user = await tx.users.rename(bearer.user_id, bearer.session_id, columns)
        if user is None:
            raise InvalidAccessToken
        return user

    async def delete(self, bearer: Bearer, password: str | None) -> None:
        """Remove the bearer's account with all that hangs on it; every session of theirs ends.

        That the bearer signed in recently is enough, but if a password is given it must be right.

        Raises:
            InvalidCredentials: the password is wrong, or was changed at the same moment.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            LastAdmin: no administrator would be left.
            TooManyAttempts: the password was wrong too often.
        """
        user = await self._proof.owner(bearer, will_prove=password is not None)
        if password is None:
            self._revocations.add(await self._remove(user, Attempt()))
            return
        async with self._proof.given(bearer, user, password, SecurityEvent.ACCOUNT_DELETE_REFUSED) as attempt:
            ended = await self._remove(user, attempt)
        self._revocations.add(ended)

    async def export(self, bearer: Bearer) -> Export:
        """Return all that is kept about the bearer, and note that it was asked for.

        But for what would tell a thief with a copied token when a session that is alive was rotated, and from where.

        Raises:
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: it was asked for too often.
        """
        await self._rate_limits.change("export", bearer.user_id)
        wanted = AuditFilter(user_id=bearer.user_id, without=(SecurityEvent.REFRESH_REPLAYED,))
        # A transaction, because SQLite does not let one that has read become one that writes while others write.
        async with self._database.transaction() as tx:
            account = await tx.users.view_by_session(bearer.user_id, bearer.session_id)
            if account is None:
                raise InvalidAccessToken
            pending = await tx.pending_changes.find_of_user(account.id)
            factors = await tx.factors.list_of_user(account.id)
            left = await tx.factors.count_recovery_codes(account.id)
            await tx.audit.add(SecurityEvent.ACCOUNT_EXPORTED, account.id)
        async with self._database.statement() as tx:
            newest = await tx.audit_trail.find_events(wanted, AT_ONCE)
        sessions, events = self._pages_of_sessions(bearer), self._pages_of_events(wanted, newest)
        return Export(account, pending, factors, left, sessions, events, newest[0].at)

    async def _pages_of_sessions(self, bearer: Bearer) -> AsyncIterator[Sequence[SessionView]]:
        wanted = Slice(AT_ONCE)
        while True:
            async with self._database.statement() as tx:
                page = await tx.user_sessions.list_of_user(
                    bearer.user_id, self._rules.idle_lifetime, wanted, current=bearer.session_id, ended_too=True
                )
            yield page.items
            if page.next is None:
                return
            wanted = Slice(AT_ONCE, page.next)

    async def _pages_of_events(
        self, wanted: AuditFilter, page: Sequence[AuditEvent]
    ) -> AsyncIterator[Sequence[AuditEvent]]:
        """No connection is held between two pages: the client takes its time."""
        while page:
            yield page
            if len(page) < AT_ONCE:
                return
            async with self._database.statement() as tx:
                page = await tx.audit_trail.find_events(wanted, AT_ONCE, page[-1])

    @retried
    async def _remove(self, user: User, attempt: Attempt) -> Sequence[UUID]:
        async with self._database.transaction() as tx:
            try:
                ended = await remove_account(tx, user.id, user.credential_epoch)
            except NoSuchUser:
                raise InvalidAccessToken from None
            await attempt.succeed(tx)
            return ended
