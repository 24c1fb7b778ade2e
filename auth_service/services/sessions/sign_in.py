"""A session opened for whoever has proved enough, by a sign-in or in place of others, and what that leads to."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog

from auth_service.errors import DatabaseUnavailable, InvalidCredentials
from auth_service.models import Authentication, Device, EndReason, LoginAccount, SessionRules, SessionState
from auth_service.repositories.factors.proofs import Proof
from auth_service.repositories.transaction import Database, Transaction, retried
from auth_service.security.refresh_tokens import hash_secret, new_secret
from auth_service.services.mail.notices import Notices, requester_details
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.token_issuer import TokenIssuer, TokenPair
from auth_service.services.throttling.attempts import Attempt
from auth_service.services.throttling.throttle import Throttler

log = structlog.get_logger()


@dataclass(frozen=True)
class OpenedSession:
    """A session as it was inserted, and the secret of its refresh tokens."""

    state: SessionState
    secret: bytes = field(repr=False)


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

    async def ensure_ready(self) -> None:
        """Raise `Unavailable` if no access token could be signed: no session is opened that could not be answered."""
        await self._issuer.ensure_ready()

    async def sign_in(
        self,
        account: LoginAccount,
        authentication: Authentication,
        device: Device,
        attempt: Attempt,
        *,
        replacement: str | None = None,
        proof: Proof | None = None,
    ) -> TokenPair:
        """Open a session, note that the attempt was right, and return the tokens.

        A `replacement` of the password's hash, if that is outdated, is stored too. A `proof` is used up.

        Raises:
            InvalidCredentials: the account is not as it was read any more, or the proof was used up before.
            Unavailable: no access token could be signed, so nothing is opened.
        """
        await self.ensure_ready()
        opened = await self._open_alone(account, authentication, device, proof)
        return await self.finish(opened, account, device, attempt, replacement=replacement)

    async def open(
        self,
        tx: Transaction,
        account: LoginAccount,
        authentication: Authentication,
        device: Device,
        *,
        instead: EndReason | None = None,
        proof: Proof | None = None,
    ) -> OpenedSession:
        """Open a session in a transaction, before which `ensure_ready()` is asked, by a login or `instead` of those
        that it ends for this reason.

        Raises:
            InvalidCredentials: as `sign_in()`; the transaction must not be committed.
        """
        secret, known_by = new_secret(), (device.user_agent, device.ip)
        session = await tx.logins.open(
            account,
            hash_secret(secret),
            self._rules.absolute_lifetime,
            known_by,
            authentication=authentication,
            instead=instead,
            proof=proof,
        )
        if session is None:  # disabled, or the password changed while it was being verified
            raise InvalidCredentials
        return OpenedSession(session, secret)

    async def finish(
        self,
        opened: OpenedSession,
        account: LoginAccount,
        device: Device,
        attempt: Attempt,
        *,
        replacement: str | None = None,
    ) -> TokenPair:
        """Once a session that a login has opened is committed, do all that goes with it, and return its tokens."""
        signed_in = await self._issuer.issue(opened.state, opened.secret, generation=0)
        await self._settle(account, opened.state.id, device, replacement, attempt)
        return signed_in

    async def open_instead(
        self, tx: Transaction, account: LoginAccount, authentication: Authentication, device: Device, reason: EndReason
    ) -> Callable[[], Awaitable[TokenPair]]:
        """As `open()`, in place of sessions that the transaction ends; return what makes the tokens, to be called once
        that is committed.
        """
        opened = await self.open(tx, account, authentication, device, instead=reason)
        return partial(self._issuer.issue, opened.state, opened.secret, generation=0)

    @retried
    async def _open_alone(
        self, account: LoginAccount, authentication: Authentication, device: Device, proof: Proof | None
    ) -> OpenedSession:
        async with self._database.statement() as tx:
            return await self.open(tx, account, authentication, device, proof=proof)

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
