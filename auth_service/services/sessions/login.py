"""A session opened, by a login or in place of others, and what that leads to."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

import structlog

from auth_service.errors import DatabaseUnavailable, InvalidCredentials
from auth_service.identifiers import canonical_email, canonical_username
from auth_service.models import BY_PASSWORD, Device, EndReason, LoginAccount, SecurityEvent, SessionRules, SessionState
from auth_service.repositories.transaction import Database, Transaction, retried
from auth_service.security.refresh_tokens import hash_secret, new_secret
from auth_service.services.mail.notices import Notices, requester_details
from auth_service.services.operations.audit import Audit
from auth_service.services.passwords.login_check import LoginCheck
from auth_service.services.sessions.login_outcomes import LoginOutcome, counted
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.token_issuer import TokenIssuer, TokenPair
from auth_service.services.throttling.attempts import Attempt
from auth_service.services.throttling.throttle import Throttler

log = structlog.get_logger()


class Login:
    def __init__(
        self,
        *,
        database: Database,
        issuer: TokenIssuer,
        revocations: Revocations,
        login_check: LoginCheck,
        rules: SessionRules,
        throttle: Throttler,
        audit: Audit,
        notices: Notices,
        verified_only: bool,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._revocations = revocations
        self._login_check = login_check
        self._rules = rules
        self._throttle = throttle
        self._audit = audit
        self._notices = notices
        self._verified_only = verified_only
        self.outcomes: Counter[LoginOutcome] = Counter()

    async def login(self, email: str | None, username: str | None, password: str, device: Device) -> TokenPair:
        """Open a session for a client that knows the password; exactly one of `email` and `username` is given.

        Raises:
            InvalidCredentials: unknown account, wrong password and disabled account alike, after the same time.
            HashingOverloaded: there is no room in the lane; nothing was looked up.
            TooManyAttempts: before that work, for known and unknown accounts alike.
        """
        with counted(self.outcomes):
            return await self._log_in(email, username, password, device)

    async def _log_in(self, email: str | None, username: str | None, password: str, device: Device) -> TokenPair:
        self._login_check.lane.ensure_room()
        account, name = await self._find_account(email, username)
        async with self._throttle.login(account.id if account else None, name, device.ip) as attempt:
            may_sign_in = account and account.is_active and (account.is_verified or not self._verified_only)
            stored = account.hashed_password if account and may_sign_in else None
            right, replacement = await self._login_check.verify(password, stored)
            if account is None or not right:
                await self._audit.record(SecurityEvent.LOGIN_FAILED, account.id if account else None)
                raise InvalidCredentials
            await self._issuer.ensure_ready()  # no session is opened that could not be answered
            session, token_secret = await self._open(account, device)
            signed_in = await self._issuer.issue(session, token_secret, generation=0)
            await self._settle(account, session.id, device, replacement, attempt)
        return signed_in

    async def open_instead(
        self, tx: Transaction, account: LoginAccount, device: Device, reason: EndReason
    ) -> Callable[[], Awaitable[TokenPair]]:
        """Open a session in the transaction that ends the others, for this reason; return what makes its tokens, to be
        called once that is committed. Before the transaction, `TokenIssuer.ensure_ready` is asked.

        Raises:
            InvalidCredentials: the account is not as it was read any more.
        """
        secret = new_secret()
        session = await self._insert(tx, account, secret, device, reason)
        if session is None:
            raise InvalidCredentials
        return partial(self._issuer.issue, session, secret, generation=0)

    async def _find_account(self, email: str | None, username: str | None) -> tuple[LoginAccount | None, str]:
        """Return the account, and the name that was given in canonical form."""
        name = canonical_email(email) if email is not None else canonical_username(username or "")
        async with self._database.statement() as tx:
            find = tx.users.find_by_email if email is not None else tx.users.find_by_username
            return await find(name), name

    @retried
    async def _open(self, account: LoginAccount, device: Device) -> tuple[SessionState, bytes]:
        secret = new_secret()
        async with self._database.statement() as tx:
            session = await self._insert(tx, account, secret, device)
        if session is None:  # disabled, or the password changed while it was being verified
            raise InvalidCredentials
        return session, secret

    async def _insert(
        self, tx: Transaction, account: LoginAccount, secret: bytes, device: Device, instead: EndReason | None = None
    ) -> SessionState | None:
        known_by = (device.user_agent, device.ip)
        lifetime = self._rules.absolute_lifetime
        return await tx.logins.open(
            account, hash_secret(secret), lifetime, known_by, authentication=BY_PASSWORD, instead=instead
        )

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
