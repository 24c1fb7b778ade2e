"""Sessions: opened by a login, kept by refreshes, ended by a logout or a theft."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog

from auth_service.database.errors import TransactionConflict
from auth_service.errors import DatabaseUnavailable, InvalidCredentials, InvalidRefreshToken
from auth_service.identifiers import canonical_email, canonical_username
from auth_service.models import (
    UNKNOWN_DEVICE,
    Device,
    EndReason,
    LoginAccount,
    SecurityEvent,
    SessionRules,
    SessionState,
    Verdict,
    judge,
)
from auth_service.repositories.transaction import Database, Transaction, retried
from auth_service.security.refresh_tokens import PresentedToken, RefreshTokenCodec, hash_secret, new_secret
from auth_service.services.mail.notices import Notices, requester_details
from auth_service.services.operations.audit import Audit
from auth_service.services.passwords.login_check import LoginCheck
from auth_service.services.sessions.login_outcomes import LoginOutcome, counted
from auth_service.services.sessions.replays import Replays
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.values import TokenPair
from auth_service.services.signing_keys.key_ring import KeyRing
from auth_service.services.throttling.attempts import Attempt
from auth_service.services.throttling.throttle import Throttler

log = structlog.get_logger()


class Sessions:
    def __init__(
        self,
        *,
        database: Database,
        tokens: RefreshTokenCodec,
        keys: KeyRing,
        revocations: Revocations,
        login_check: LoginCheck,
        rules: SessionRules,
        throttle: Throttler,
        audit: Audit,
        notices: Notices,
        replays: Replays,
        verified_only: bool,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._keys = keys
        self._revocations = revocations
        self._login_check = login_check
        self._rules = rules
        self._throttle = throttle
        self._audit = audit
        self._notices = notices
        self._replays = replays
        self._verified_only = verified_only
        self.outcomes: Counter[Verdict] = Counter()
        self.logins: Counter[LoginOutcome] = Counter()

    async def login(self, email: str | None, username: str | None, password: str, device: Device) -> TokenPair:
        """Open a session for a client that knows the password; exactly one of `email` and `username` is given.

        Raises:
            InvalidCredentials: unknown account, wrong password and disabled account alike, after the same time.
            HashingOverloaded: there is no room in the lane; nothing was looked up.
            TooManyAttempts: before that work, for known and unknown accounts alike.
        """
        with counted(self.logins):
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
            await self._keys.signer()  # no session is opened that could not be answered
            session, token_secret = await self._open(account, device)
            signed_in = await self._pair(session, token_secret, generation=0)
            await self._settle(account, session.id, device, replacement, attempt)
        return signed_in

    async def open_instead(
        self, tx: Transaction, account: LoginAccount, device: Device, reason: EndReason
    ) -> Callable[[], Awaitable[TokenPair]]:
        """Open a session in the transaction that ends the others, for this reason; return what makes its tokens, to be
        called once that is committed.

        Raises:
            InvalidCredentials: the account is not as it was read any more.
            Unavailable: no access token could be signed, so nothing is to be changed.
        """
        await self._keys.signer()
        secret = new_secret()
        session = await self._insert(tx, account, secret, device, reason)
        if session is None:
            raise InvalidCredentials
        return partial(self._pair, session, secret, generation=0)

    async def refresh(self, refresh_token: str, idempotency_key: str | None, device: Device) -> TokenPair:
        """Exchange a refresh token for its successor; within the grace a spent one for the session's current token.

        Raises:
            InvalidRefreshToken: forged, ended, expired, or spent too long ago; the last ends the session.
            TooManyAttempts: this session is refreshed far too often.
        """
        await self._keys.signer()  # without it every token would look foreign: that is our fault, and not a 401
        presented = self._tokens.read(refresh_token)
        if presented is None:
            self.outcomes[Verdict.FORGED] += 1
            raise InvalidRefreshToken
        self._throttle.refresh(presented.secret_hash)
        session, verdict = await self._advance(presented, idempotency_key, device)
        self.outcomes[verdict] += 1
        if session is None:
            raise InvalidRefreshToken
        self._tell(session, verdict)
        if verdict not in {Verdict.ROTATED, Verdict.REPLAY}:
            raise InvalidRefreshToken
        return await self._pair(session, presented.secret, session.generation)

    async def inspect(self, refresh_token: str) -> tuple[SessionState, datetime] | None:
        """Return the session of a token that a refresh would accept now, and until when; change nothing."""
        await self._keys.signer()  # as in a refresh
        presented = self._tokens.read(refresh_token)
        if presented is None:
            return None
        async with self._database.statement() as tx:
            session = await tx.refresh_tokens.find_by_secret(presented.secret_hash)
        if session is None:
            return None
        verdict = judge(session, presented.generation, None, self._rules, UNKNOWN_DEVICE)
        is_active = verdict in {Verdict.RACE, Verdict.REPLAY}  # RACE: current, and not rotated since
        return (session, session.usable_until(self._rules)) if is_active else None

    @retried
    async def logout(self, refresh_token: str) -> None:
        """End the session of a token, of whatever generation; a token that opens nothing is already logged out."""
        await self._keys.signer()  # as in a refresh: no client may be refused while the secret is missing
        presented = self._tokens.read(refresh_token)
        if presented is None:
            return
        async with self._database.statement() as tx:
            ended = await tx.refresh_tokens.revoke(presented.secret_hash, EndReason.LOGOUT)
        if ended:
            self._revocations.add([ended])

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
        return await tx.logins.open(account, hash_secret(secret), self._rules.absolute_lifetime, known_by, instead)

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

    @retried
    async def _advance(
        self, presented: PresentedToken, idempotency_key: str | None, device: Device
    ) -> tuple[SessionState | None, Verdict]:
        """Rotate the session, or find out what the token means; a reuse has ended the session when this returns."""
        key_hash = hash_secret(presented.secret + idempotency_key.encode()) if idempotency_key else None
        async with self._database.statement() as tx:
            sessions = tx.refresh_tokens
            idle = self._rules.idle_lifetime
            session = await sessions.rotate(presented.secret_hash, presented.generation, key_hash, idle, device)
            if session is not None:
                return session, Verdict.ROTATED
            session = await sessions.find_by_secret(presented.secret_hash)
            if session is None:
                return None, Verdict.UNKNOWN
            verdict = judge(session, presented.generation, key_hash, self._rules, device)
        if verdict is Verdict.RACE:
            raise TransactionConflict
        if verdict is Verdict.REUSE and not await self._replays.end(session, presented):
            verdict = Verdict.ENDED  # another request ended it first
        if verdict is Verdict.REPLAY:
            await self._replays.note(session, device)
        return session, verdict

    def _tell(self, session: SessionState, verdict: Verdict) -> None:
        if verdict is Verdict.REUSE:
            self._revocations.add([session.id])
        skipped = session.rotations[1:].count(session.rotations[0]) if verdict is Verdict.ROTATED else 0
        if skipped:
            log.warning("refresh.fast_forwarded", sid=str(session.id), generations=skipped)

    async def _pair(self, session: SessionState, secret: bytes, generation: int) -> TokenPair:
        left = int((session.usable_until(self._rules) - session.now).total_seconds())
        access_token, expires_in = await self._keys.sign(
            user_id=session.user_id, session_id=session.id, role=session.role, now=session.now, seconds_left=left
        )
        return TokenPair(access_token, expires_in, self._tokens.issue(secret, generation), left, session.id)
