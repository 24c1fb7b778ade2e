"""A session opened for whoever has proved enough, by a sign-in or in place of others, and what that leads to."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog

from auth_service.database.errors import TransactionConflict
from auth_service.errors import DatabaseDiskFull, DatabaseUnavailable, InvalidCredentials, SchemaNotReady
from auth_service.models import Authentication, Device, EndReason, LoginAccount, SessionRules, SessionState
from auth_service.repositories.database import Database
from auth_service.repositories.factors.proofs import Proof
from auth_service.repositories.retries import pause, retried
from auth_service.repositories.sessions.logins import Counts, Settling
from auth_service.repositories.transaction import Transaction
from auth_service.security.tokens.refresh_tokens import hash_secret, new_secret
from auth_service.services.mail.notices import Notices, requester_details
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.token_issuer import TokenIssuer, TokenPair
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.throttle import Throttler

log = structlog.get_logger()


@dataclass(frozen=True)
class OpenedSession:
    """A session as it was inserted, and the secret of its refresh tokens; for a login also the attempt that was noted
    with it, and how many sessions there were then, if that is known.
    """

    state: SessionState
    secret: bytes = field(repr=False)
    attempt: Attempt | None = None
    counts: Counts | None = None


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
        opened = await self._open_alone(account, authentication, device, attempt, proof)
        return await self.finish(opened, account, device, replacement)

    async def open(
        self,
        tx: Transaction,
        account: LoginAccount,
        authentication: Authentication,
        device: Device,
        attempt: Attempt | None,
        *,
        instead: EndReason | None = None,
        proof: Proof | None = None,
    ) -> OpenedSession:
        """Open a session in a transaction, before which `ensure_ready()` is asked, by a login or `instead` of those
        that it ends for this reason. With the attempt of a login, note that too: it was right.

        Raises:
            InvalidCredentials: as `sign_in()`; the transaction must not be committed.
        """
        secret = new_secret()
        opened = await tx.logins.open(
            account,
            hash_secret(secret),
            self._rules,
            device,
            authentication=authentication,
            instead=instead,
            proof=proof,
            settling=Settling(attempt.success, self._notice()) if attempt else None,
        )
        if opened is None:  # disabled, or the password changed while it was being verified
            raise InvalidCredentials
        return OpenedSession(opened[0], secret, attempt, opened[1])

    async def finish(
        self, opened: OpenedSession, account: LoginAccount, device: Device, replacement: str | None = None
    ) -> TokenPair:
        """Once a session that a login has opened is committed, return its tokens, and do what could not go with it.

        What fails there must not fail the login.
        """
        if opened.attempt:
            opened.attempt.decided = True  # not before it is committed: what is rolled back must be taken back
        signed_in = await self._issuer.issue(opened.state, opened.secret, generation=0)
        if replacement:
            await self._renew_hash(account, replacement)
        counts = opened.counts
        if counts is None or counts.is_long:
            with suppress(DatabaseUnavailable):
                await self._settle_later(opened, device)
        if counts is None or counts.alive > self._rules.max_per_user:  # the last of several at once sees them all
            with suppress(DatabaseUnavailable):
                self._revocations.add(await self._evict(account.id))
        return signed_in

    async def open_instead(
        self, tx: Transaction, account: LoginAccount, authentication: Authentication, device: Device, reason: EndReason
    ) -> Callable[[], Awaitable[TokenPair]]:
        """As `open()`, in place of sessions that the transaction ends; return what makes the tokens, to be called once
        that is committed.
        """
        opened = await self.open(tx, account, authentication, device, None, instead=reason)
        return partial(self._issuer.issue, opened.state, opened.secret, generation=0)

    async def _open_alone(
        self,
        account: LoginAccount,
        authentication: Authentication,
        device: Device,
        attempt: Attempt,
        proof: Proof | None,
    ) -> OpenedSession:
        """As `retried` has it. What loses has left nothing behind; at last the session is opened alone, since what goes
        with it may be what cannot be written.
        """
        opening = partial(self._open_once, account, authentication, device, proof)
        for _ in range(2):
            try:
                return await opening(attempt)
            except (TransactionConflict, DatabaseDiskFull, SchemaNotReady):
                await pause()
        log.warning("login.not_recorded", user_id=str(account.id))
        return await opening(None)

    async def _open_once(
        self,
        account: LoginAccount,
        authentication: Authentication,
        device: Device,
        proof: Proof | None,
        attempt: Attempt | None,
    ) -> OpenedSession:
        waits = attempt is not None and attempt.is_counted
        async with self._throttle.statement() if waits else self._database.statement() as tx:
            return await self.open(tx, account, authentication, device, attempt, proof=proof)

    async def _renew_hash(self, account: LoginAccount, replacement: str) -> None:
        try:
            async with self._database.statement() as tx:
                await tx.users.renew_hash(account, replacement)
        except DatabaseUnavailable:
            log.warning("login.not_recorded", user_id=str(account.id))

    @retried
    async def _settle_later(self, opened: OpenedSession, device: Device) -> None:
        session = opened.state
        async with self._database.statement() as tx:
            if opened.counts is None:
                await tx.logins.settle_later(session.user_id, session.id, device, self._notice())
            await tx.logins.expire_ended(session.user_id)

    @retried
    async def _evict(self, user_id: UUID) -> Sequence[UUID]:
        async with self._database.statement() as tx:
            return await tx.user_sessions.revoke_oldest(user_id, self._rules.max_per_user, self._rules.idle_lifetime)

    def _notice(self) -> dict[str, str] | None:
        return requester_details() if self._notices.is_configured else None
