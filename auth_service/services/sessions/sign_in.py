"""A session opened for whoever has proved enough, by a sign-in or in place of others, and what that leads to."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

import structlog

from auth_service.errors import DatabaseUnavailable, InvalidCredentials
from auth_service.models import Authentication, Device, EndReason, LoginAccount, SessionRules, SessionState
from auth_service.repositories.transaction import Database, Transaction, retried
from auth_service.security.refresh_tokens import hash_secret, new_secret
from auth_service.services.mail.notices import Notices, requester_details
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.token_issuer import TokenIssuer, TokenPair
from auth_service.services.throttling.attempts import Attempt
from auth_service.services.throttling.throttle import Throttler

log = structlog.get_logger()


class SignIn:
    def __init__(
        self,
        *,
        database: Database,
        issuer: TokenIssuer,
        revocations: Revocations,
        rules: SessionRules,
        throttle: Throttler,
        notices: Notices,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._revocations = revocations
        self._rules = rules
        self._throttle = throttle
        self._notices = notices

    async def sign_in(
        self,
        account: LoginAccount,
        authentication: Authentication,
        device: Device,
        attempt: Attempt,
        replacement: str | None = None,
    ) -> TokenPair:
        """Open a session, note that the attempt was right, and return the tokens.

        A `replacement` of the password's hash, if that is outdated, is stored too.

        Raises:
            InvalidCredentials: the account is not as it was read any more.
            Unavailable: no access token could be signed, so nothing is opened.
        """
        await self._issuer.ensure_ready()  # no session is opened that could not be answered
        session, secret = await self._open(account, authentication, device)
        signed_in = await self._issuer.issue(session, secret, generation=0)
        await self._settle(account, session.id, device, replacement, attempt)
        return signed_in

    async def open_instead(
        self, tx: Transaction, account: LoginAccount, authentication: Authentication, device: Device, reason: EndReason
    ) -> Callable[[], Awaitable[TokenPair]]:
        """Open a session in the transaction that ends the others, for this reason; return what makes its tokens, to be
        called once that is committed. Before the transaction, `TokenIssuer.ensure_ready` is asked.

        Raises:
            InvalidCredentials: the account is not as it was read any more.
        """
        session, secret = await self._insert(tx, account, authentication, device, reason)
        return partial(self._issuer.issue, session, secret, generation=0)

    @retried
    async def _open(
        self, account: LoginAccount, authentication: Authentication, device: Device
    ) -> tuple[SessionState, bytes]:
        async with self._database.statement() as tx:
            return await self._insert(tx, account, authentication, device)

    async def _insert(
        self,
        tx: Transaction,
        account: LoginAccount,
        authentication: Authentication,
        device: Device,
        instead: EndReason | None = None,
    ) -> tuple[SessionState, bytes]:
        """Insert the session, and return it with the secret of its refresh tokens."""
        secret, known_by = new_secret(), (device.user_agent, device.ip)
        session = await tx.logins.open(
            account,
            hash_secret(secret),
            self._rules.absolute_lifetime,
            known_by,
            authentication=authentication,
            instead=instead,
        )
        if session is None:  # disabled, or the password changed while it was being verified
            raise InvalidCredentials
        return session, secret

    async def _settle(
        self, account: LoginAccount, session_id: UUID, device: Device, replacement: str | None, attempt: Attempt
    ) -> None:
        """Note the login, tell the owner of a new device, and make room. What fails here must not fail the login."""
        alive = None
        try:
            async with self._throttle.statement() as tx:
                notice = requester_details() if self._notices.is_configured else None
                idle, known_by = self._rules.idle_lifetime, (device.user_agent, device.ip)
                alive = await tx.logins.settle(
                    account.id, session_id, idle, attempt.success, device=known_by, notice=notice
                )
            attempt.decided = True  # not before it is committed: what is rolled back must be taken back, and no more
            if replacement:
                async with self._database.statement() as tx:
                    await tx.users.renew_hash(account, replacement)
        except DatabaseUnavailable:
            log.warning("login.not_recorded", user_id=str(account.id))
        if alive is None or alive > self._rules.max_per_user:  # the last of several at once sees them all
            with suppress(DatabaseUnavailable):
                self._revocations.add(await self._evict(account.id))

    @retried
    async def _evict(self, user_id: UUID) -> Sequence[UUID]:
        async with self._database.statement() as tx:
            return await tx.user_sessions.revoke_oldest(user_id, self._rules.max_per_user, self._rules.idle_lifetime)
