"""A step-up: whoever holds a session proves again who it is, and gets an access token that says so (RFC 9470).

The row of the session stays as it is. So no refresh carries the proof on, neither that of its owner nor that of whoever
copied the refresh token: it lasts as long as this one access token.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from auth_service.errors import InvalidAccessToken, InvalidCredentials, InvalidSecondFactor
from auth_service.models import (
    BY_CODE,
    BY_PASSWORD,
    Authentication,
    FactorPolicy,
    MailKind,
    SecurityEvent,
    SessionRules,
    SessionState,
    User,
)
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.security.factors.recovery_codes import hash_recovery_code, read_recovery_code
from auth_service.security.factors.totp import read_totp_code
from auth_service.security.passwords.hashing import Passwords
from auth_service.security.tokens.access_tokens import IssuedToken
from auth_service.services.mail.notices import Notices
from auth_service.services.operations.audit import Audit
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.token_issuer import TokenIssuer
from auth_service.services.sessions.totp_codes import TotpCodes
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.throttle import Throttler

UseProof: TypeAlias = Callable[[Transaction, User], Awaitable[bool]]
"""Uses a proof of a user who is locked up; False if it is wrong, or was used before."""


class StepUp:
    def __init__(
        self,
        *,
        database: Database,
        issuer: TokenIssuer,
        rules: SessionRules,
        passwords: Passwords,
        lane: HashingLane,
        codes: TotpCodes,
        throttle: Throttler,
        audit: Audit,
        notices: Notices,
        factor_policy: FactorPolicy,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._rules = rules
        self._passwords = passwords
        self._lane = lane
        self._codes = codes
        self._throttle = throttle
        self._audit = audit
        self._notices = notices
        self._factor_policy = factor_policy

    async def ensure_ready(self) -> None:
        """Raise `Unavailable` if no access token could be signed: nothing is used up then."""
        await self._issuer.ensure_ready()

    async def prove(self, bearer: Bearer, password: str | None, code: str | None) -> IssuedToken:
        """Return an access token of the bearer's session for the password of an account without a factor, or for a code
        of its app or a recovery code, which is used up; exactly one of the two is given.

        Raises:
            InvalidCredentials: the password is wrong.
            InvalidSecondFactor: the code is wrong, or was used before; or the account has a factor, so that its
                password is no proof; or its role must have a passkey, so that nothing else is.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: of this kind, too many were wrong in this session, or in all of the account together.
                Recovery codes, which nobody guesses, are counted for this session alone.
            HashingOverloaded: the lane is full, or others of this session were not decided for too long.
            Unavailable: no access token could be signed, or the secret of the app cannot be opened: no code is used up.
        """
        if self._factor_policy.asks_for_passkey(bearer.role):
            raise InvalidSecondFactor("The role of the account asks for a passkey.")
        await self.ensure_ready()
        return await (self._by_password(bearer, password) if password else self._by_code(bearer, code or ""))

    async def _by_password(self, bearer: Bearer, password: str) -> IssuedToken:
        self._lane.ensure_room()
        user = await self._owner_without_factor(bearer)
        async with self._throttle.step_up(user.id, bearer.session_id) as attempt:
            right, _ = await self._lane.run(lambda: self._passwords.verify(password, user.hashed_password))
            if not right:
                await self._audit.record(SecurityEvent.STEP_UP_REFUSED, user.id, bearer.session_id)
                raise InvalidCredentials("The password is wrong.")
            return await self.finish(bearer, BY_PASSWORD, attempt)

    async def _by_code(self, bearer: Bearer, code: str) -> IssuedToken:
        if recovery_code := read_recovery_code(code):
            tallies, use = self._throttle.step_up_recovery, partial(self._use_recovery_code, recovery_code)
        elif digits := read_totp_code(code):
            tallies, use = self._throttle.step_up_code, partial(self._use_totp_code, digits)
        else:
            raise InvalidSecondFactor
        attempt = Attempt()
        try:
            async with tallies(bearer.user_id, bearer.session_id) as attempt:
                return await self.finish(bearer, BY_CODE, attempt, use)
        except InvalidSecondFactor:
            await self._audit.record(SecurityEvent.FACTOR_CODE_REFUSED, bearer.user_id, bearer.session_id)
            if any(block.is_first for block in attempt.closed):
                # Whoever sends them holds a session (OWASP ASVS 6.3.5).
                await self._notices.warn(self._database, MailKind.STEP_UP_GUESSED, bearer.user_id)
            raise

    async def _owner_without_factor(self, bearer: Bearer) -> User:
        async with self._database.statement() as tx:
            user = await tx.users.find_by_session(bearer.user_id, bearer.session_id)
            has_factor = await tx.factors.list_of_user(bearer.user_id)
        if user is None:
            raise InvalidAccessToken
        if has_factor:
            raise InvalidSecondFactor(
                "The account has a second factor: send a code or a passkey instead of the password."
            )
        return user

    async def finish(
        self, bearer: Bearer, proved: Authentication, attempt: Attempt, use: UseProof | None = None
    ) -> IssuedToken:
        """Use a proof up, if it is one that can be, and return the access token that tells of it.

        Raises:
            InvalidSecondFactor: it was wrong, or used before.
            InvalidAccessToken: the bearer's session has ended in the meantime.
        """
        return await self._issuer.access_token(await self._prove(bearer, proved, attempt, use))

    @retried
    async def _prove(
        self, bearer: Bearer, proved: Authentication, attempt: Attempt, use: UseProof | None
    ) -> SessionState:
        """Return the session as a token of it shall tell, as long as it is alive: a new password or a first factor ends
        it, so this also says that what was verified is still what is asked for.
        """
        async with self._database.transaction() as tx:
            user = await tx.users.lock(bearer.user_id)  # before anything else, as in every change of factors
            session = await tx.refresh_tokens.find_by_id(bearer.session_id, bearer.user_id)
            if user is None or session is None or session.has_ended(self._rules):
                raise InvalidAccessToken
            if use is not None and not await use(tx, user):
                raise InvalidSecondFactor("The code is wrong or was used before.")
            await attempt.succeed(tx)
            await tx.audit.add(SecurityEvent.STEP_UP_SUCCEEDED, session.user_id, session.id, acr=proved.acr)
        return session._replace(authenticated_at=session.now, acr=proved.acr, amr=proved.amr)

    async def _use_totp_code(self, digits: str, tx: Transaction, user: User) -> bool:
        found = await tx.factor_lookups.find(user.id)
        totp = found.totp if found else None
        if found is None or totp is None:
            raise InvalidSecondFactor("The account has no second factor, so no code will do.")
        step = self._codes.step_of(totp, digits, found.now)
        return step is not None and await tx.factor_proofs.spend_step(user.id, totp.factor_id, step)

    async def _use_recovery_code(self, code: bytes, tx: Transaction, user: User) -> bool:
        if not await tx.factor_proofs.spend_recovery_code(user.id, hash_recovery_code(code)):
            return False
        await self._notices.recovery_code_used(tx, user.id)
        return True
