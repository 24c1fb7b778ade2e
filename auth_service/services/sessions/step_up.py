"""A step-up: whoever holds a session proves again who it is, and gets an access token that says so (RFC 9470).

The row of the session stays as it is. So no refresh carries the proof on, neither that of its owner nor that of whoever
copied the refresh token: it lasts as long as this one access token.
"""

from dataclasses import replace

from auth_service.errors import InvalidAccessToken, InvalidCredentials, InvalidSecondFactor
from auth_service.models import BY_PASSWORD, Authentication, SecurityEvent, SessionRules, SessionState, User
from auth_service.repositories.transaction import Database, retried
from auth_service.security.access_tokens import IssuedToken
from auth_service.security.passwords import Passwords
from auth_service.services.operations.audit import Audit
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.token_issuer import TokenIssuer
from auth_service.services.throttling.attempts import Attempt
from auth_service.services.throttling.throttle import Throttler


class StepUp:
    def __init__(
        self,
        *,
        database: Database,
        issuer: TokenIssuer,
        rules: SessionRules,
        passwords: Passwords,
        lane: HashingLane,
        throttle: Throttler,
        audit: Audit,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._rules = rules
        self._passwords = passwords
        self._lane = lane
        self._throttle = throttle
        self._audit = audit

    async def by_password(self, bearer: Bearer, password: str) -> IssuedToken:
        """Return an access token of the bearer's session for whoever knows the password of an account without a factor.

        Raises:
            InvalidSecondFactor: the account has a factor, so that its password is no proof.
            InvalidCredentials: the password is wrong.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: it was wrong too often in this session, or in all of the account together.
            HashingOverloaded: the lane is full.
        """
        self._lane.ensure_room()
        user = await self._owner_without_factor(bearer)
        async with self._throttle.step_up(user.id, bearer.session_id) as attempt:
            right, _ = await self._lane.run(lambda: self._passwords.verify(password, user.hashed_password))
            if not right:
                await self._audit.record(SecurityEvent.STEP_UP_REFUSED, user.id, bearer.session_id)
                raise InvalidCredentials
            session = await self._prove(bearer, BY_PASSWORD, attempt)
        return await self._issuer.access_token(session)

    async def _owner_without_factor(self, bearer: Bearer) -> User:
        async with self._database.statement() as tx:
            user = await tx.users.find_by_session(bearer.user_id, bearer.session_id)
            has_factor = await tx.factors.list_of_user(bearer.user_id)
        if user is None:
            raise InvalidAccessToken
        if has_factor:
            raise InvalidSecondFactor("The account has a second factor: send a code instead of the password.")
        return user

    @retried
    async def _prove(self, bearer: Bearer, proved: Authentication, attempt: Attempt) -> SessionState:
        """Return the session as a token of it shall tell, as long as it is alive: a new password or a first factor ends
        it, so this also says that what was verified is still what is asked for.
        """
        async with self._database.transaction() as tx:
            session = await tx.refresh_tokens.find_by_id(bearer.session_id, bearer.user_id)
            if session is None or session.has_ended(self._rules):
                raise InvalidAccessToken
            await attempt.succeed(tx)
            await tx.audit.add(SecurityEvent.STEP_UP_SUCCEEDED, session.user_id, session.id, acr=proved.acr)
        return replace(session, authenticated_at=session.now, acr=proved.acr, amr=proved.amr)
