"""What a refresh token is good for: its successor, a look at its session, and the end of it."""

from collections import Counter
from datetime import datetime

import structlog

from auth_service.database.errors import TransactionConflict
from auth_service.errors import InvalidRefreshToken
from auth_service.models import (
    UNKNOWN_DEVICE,
    Device,
    EndReason,
    FactorPolicy,
    SessionRules,
    SessionState,
    Verdict,
    judge,
)
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.security.tokens.refresh_tokens import PresentedToken, RefreshTokenCodec, hash_secret
from auth_service.services.sessions.replays import Replays
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.token_issuer import TokenIssuer, TokenPair
from auth_service.services.throttling.throttle import Throttler

log = structlog.get_logger()

ANSWERED = {Verdict.ROTATED, Verdict.UNCHANGED, Verdict.REPLAY}


class Refresh:
    def __init__(
        self,
        *,
        database: Database,
        tokens: RefreshTokenCodec,
        issuer: TokenIssuer,
        revocations: Revocations,
        rules: SessionRules,
        throttle: Throttler,
        replays: Replays,
        factor_policy: FactorPolicy,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._issuer = issuer
        self._revocations = revocations
        self._rules = rules
        self._throttle = throttle
        self._replays = replays
        self._factor_policy = factor_policy
        self.outcomes: Counter[Verdict] = Counter()

    async def refresh(self, refresh_token: str, idempotency_key: str | None, device: Device) -> TokenPair:
        """Exchange a refresh token for its successor; within the grace a spent one for the session's current token.

        The current one too is given again if its session was rotated as often within the grace as it may be.

        Raises:
            InvalidRefreshToken: forged, ended, expired, or spent too long ago; the last ends the session. So does a
                sign-in without the second factor that its user must have by now.
            TooManyAttempts: this session is refreshed far too often.
        """
        await self._issuer.ensure_ready()  # without it every token would look foreign: that is our fault, and not a 401
        presented = self._tokens.read(refresh_token)
        if presented is None:
            self.outcomes[Verdict.FORGED] += 1
            raise InvalidRefreshToken(Verdict.FORGED)
        self._throttle.refresh(presented.secret_hash)
        session, verdict = await self._advance(presented, idempotency_key, device)
        if session is not None and verdict in ANSWERED and self._factor_policy.refuses(session.role, session.acr):
            verdict = await self._end(session, presented)
        self.outcomes[verdict] += 1
        if session is None:
            raise InvalidRefreshToken(verdict)
        self._tell(session, verdict)
        if verdict not in ANSWERED:
            raise InvalidRefreshToken(verdict, session.user_id)
        return await self._issuer.issue(session, presented.secret, session.generation)

    async def inspect(self, refresh_token: str) -> tuple[SessionState, datetime] | None:
        """Return the session of a token that a refresh would accept now, and until when; change nothing."""
        await self._issuer.ensure_ready()  # as in a refresh
        presented = self._tokens.read(refresh_token)
        if presented is None:
            return None
        async with self._database.statement() as tx:
            session = await tx.refresh_tokens.find_by_secret(presented.secret_hash)
        if session is None:
            return None
        verdict = judge(session, presented.generation, None, self._rules, UNKNOWN_DEVICE)
        if self._factor_policy.refuses(session.role, session.acr):
            return None
        is_active = verdict in ANSWERED or verdict is Verdict.RACE  # current, and not rotated since
        return (session, session.usable_until(self._rules)) if is_active else None

    @retried
    async def logout(self, refresh_token: str) -> None:
        """End the session of a token, of whatever generation; a token that opens nothing is already logged out."""
        await self._issuer.ensure_ready()  # as in a refresh: no client may be refused while the secret is missing
        presented = self._tokens.read(refresh_token)
        if presented is None:
            return
        async with self._database.statement() as tx:
            ended = await tx.refresh_tokens.revoke(presented.secret_hash, EndReason.LOGOUT)
        if ended:
            self._revocations.add([ended])

    @retried
    async def _advance(
        self, presented: PresentedToken, idempotency_key: str | None, device: Device
    ) -> tuple[SessionState | None, Verdict]:
        """Rotate the session, or find out what the token means; a reuse has ended the session when this returns."""
        key_hash = hash_secret(presented.secret + idempotency_key.encode()) if idempotency_key else None
        async with self._database.statement() as tx:
            sessions = tx.refresh_tokens
            rules = self._rules
            session = await sessions.rotate(presented.secret_hash, presented.generation, key_hash, rules, device)
            if session is not None:
                return session, Verdict.ROTATED
            session = await sessions.find_by_secret(presented.secret_hash)
            if session is None:
                return None, Verdict.UNKNOWN
            verdict = judge(session, presented.generation, key_hash, rules, device)
        if verdict is Verdict.RACE:
            raise TransactionConflict
        if verdict is Verdict.REUSE and not await self._replays.end(session, presented):
            verdict = Verdict.ENDED  # another request ended it first
        if verdict is Verdict.REPLAY:
            await self._replays.note(session, device)
        return session, verdict

    @retried
    async def _end(self, session: SessionState, presented: PresentedToken) -> Verdict:
        """End a session that a password alone opened, before its user had to have a second factor.

        The hot statement does not ask for that: the row that it returns tells, and no answer has left.
        """
        async with self._database.statement() as tx:
            await tx.refresh_tokens.revoke(presented.secret_hash, EndReason.FACTOR_REQUIRED)
        self._revocations.add([session.id])
        return Verdict.ENDED

    def _tell(self, session: SessionState, verdict: Verdict) -> None:
        if verdict is Verdict.REUSE:
            self._revocations.add([session.id])
        if verdict is Verdict.ROTATED and session.rotations:  # which are told if several were added at once
            skipped = session.rotations[1:].count(session.rotations[0])
            log.warning("refresh.fast_forwarded", sid=str(session.id), generations=skipped)
