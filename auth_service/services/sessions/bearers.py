"""Who holds an access token, and whether its session is alive."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from auth_service.errors import Denial, InsufficientRole, InvalidAccessToken, StepUpRequired
from auth_service.logs import USER_ID
from auth_service.models import Acr, FactorPolicy, Role
from auth_service.repositories.database import Database
from auth_service.security.tokens.claims import Claims
from auth_service.services.sessions.revocations import NewsTooOld, Revocations
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.signing_keys.key_ring import KeyRing

Bearer = Claims
"""The bearer of an access token is known by its claims: a user, and the session that speaks for them."""


class Bearers:
    """`recent` is how long ago a sign-in may be for what changes who gets in."""

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        revocations: Revocations,
        clock: DatabaseClock,
        *,
        recent: timedelta,
        factor_policy: FactorPolicy,
    ) -> None:
        self._database = database
        self._keys = keys
        self._revocations = revocations
        self._clock = clock
        self._recent = int(recent.total_seconds())
        self._factor_policy = factor_policy

    async def identify(self, access_token: str) -> Bearer:
        """Return the bearer, without asking the database unless the news about ended sessions is too old.

        Raises:
            InvalidAccessToken: for every defect of the token alike, when its session has ended, and when its user must
                have a second factor that the sign-in was without.
        """
        claims = await self._keys.verify(access_token)
        self._ensure_sure(claims)
        if self._revocations.is_ended(claims.session_id):
            raise InvalidAccessToken(Denial.ENDED, claims.user_id)
        if self._revocations.is_stale and not await self._is_alive(claims.user_id, claims.session_id):
            raise InvalidAccessToken(Denial.ENDED, claims.user_id)
        USER_ID.set(claims.user_id)
        return claims

    async def identify_admin(self, access_token: str) -> Bearer:
        """Return an administrator. The database is asked each time: for them a token's five minutes are too long.

        Raises:
            InvalidAccessToken: as in `identify`, and when the session or its user is not alive in the database.
            InsufficientRole: the token is not an administrator's, or its user is none any more.
        """
        claims = await self.identify(access_token)
        if claims.role != Role.ADMIN:
            raise InsufficientRole(user_id=claims.user_id)
        async with self._database.statement() as tx:
            account = await tx.users.view_by_session(claims.user_id, claims.session_id)
        if account is None:
            raise InvalidAccessToken(Denial.ENDED, claims.user_id)
        if account.role != Role.ADMIN:
            raise InsufficientRole(user_id=claims.user_id)
        return claims

    def ensure_recent(self, bearer: Bearer) -> None:
        """Raise `StepUpRequired` unless the sign-in of the token, or the step-up that it comes from, is recent.

        Of an account with a second factor, no session that a password alone opened is alive: the first factor ends
        them, and the database takes no more of them. So its tokens are of the class that it needs, or of sessions that
        have ended, which the statements of the changes refuse by themselves.
        """
        if not bearer.was_authenticated_within(self._recent, self._clock.now()):
            enough = Acr.AAL2 if bearer.acr in Acr.AAL2.satisfied_by else Acr.AAL1
            if self._factor_policy.asks_for_passkey(bearer.role):
                enough = Acr.PHR
            raise StepUpRequired(self._recent, enough.satisfied_by, bearer.user_id)

    async def verify(
        self, access_token: str, roles: Collection[str] = (), acr: Acr | None = None, max_age: int | None = None
    ) -> Claims:
        """Return what the token says, for a gateway: from memory alone, whatever the database does.

        `roles` are those of which the bearer must have one; empty if any will do. `acr` is the least class that will
        do, and `max_age` the most seconds since the sign-in; None for any.

        Raises:
            InvalidAccessToken: as in `identify`.
            InsufficientRole: the bearer has none of the roles.
            StepUpRequired: the sign-in was not as sure, or not as recent.
            Unavailable: it cannot be known, because the keys or the news about ended sessions are missing.
        """
        claims = await self._keys.verify_from_memory(access_token)
        self._ensure_sure(claims)
        if self._revocations.is_ended(claims.session_id):
            raise InvalidAccessToken(Denial.ENDED, claims.user_id)
        if self._revocations.is_stale:
            raise NewsTooOld
        if roles and claims.role not in roles:
            raise InsufficientRole(user_id=claims.user_id)
        is_sure = acr is None or acr.is_met_by(claims.acr)
        is_recent = max_age is None or claims.was_authenticated_within(max_age, self._clock.now())
        if not (is_sure and is_recent):
            raise StepUpRequired(max_age, acr.satisfied_by if acr else (), claims.user_id)
        return claims

    def _ensure_sure(self, claims: Claims) -> None:
        """The session was opened before its user had to have a second factor, and the next refresh will end it."""
        if self._factor_policy.refuses(claims.role, claims.acr):
            raise InvalidAccessToken(Denial.FACTOR, claims.user_id)

    async def _is_alive(self, user_id: UUID, session_id: UUID) -> bool:
        async with self._database.statement() as tx:
            return await tx.users.view_by_session(user_id, session_id) is not None
