"""Verifies access tokens in the process that needs to know, without a call to the auth service for each."""

import asyncio
import logging
import sys
from types import TracebackType
from typing import Self

from auth_service.verifier.claims import Claims
from auth_service.verifier.errors import InsufficientRole, InvalidToken, ServiceError, Unavailable, WrongInternalToken
from auth_service.verifier.keys import Keys
from auth_service.verifier.remembered import Remembered
from auth_service.verifier.revocations import FollowedRevocations
from auth_service.verifier.service import Service
from auth_service.verifier.sign_ins import Level, check_sign_in
from auth_service.verifier.tokens import TokenCheck

logger = logging.getLogger("auth_service.verifier")


class Verifier:
    """Knows the keys and the ended sessions of one auth service. Used as an async context manager.

    Args:
        issuer: the service's public URL, the `iss` of its tokens, in any spelling of it.
        audience: their `aud`; the issuer unless the operator set another.
        service: where the service is reached from here, best not through the public gateway; the issuer by default.
        internal_token: the service's AUTH_INTERNAL_TOKEN, with which it says who has logged out.
        follow_logouts: False to take each token until it expires, also after a logout.
        leeway: seconds that clocks may differ, 60 at most.
        fail_closed_after: seconds without news about logouts after which all requests are refused; None for never.
        fail_closed_after_for_roles: the same for whatever asks for a role, or how or when the bearer signed in.
        remember: how many verified tokens are remembered; about 1 kB each.

    Raises:
        ValueError: issuer, audience, service or internal token can be none, or the leeway is out of its bounds.
    """

    def __init__(
        self,
        issuer: str,
        *,
        audience: str | None = None,
        service: str | None = None,
        internal_token: str | None = None,
        follow_logouts: bool = True,
        leeway: float = 60.0,
        fail_closed_after: float | None = None,
        fail_closed_after_for_roles: float | None = 30.0,
        remember: int = 10_000,
    ) -> None:
        if not 0 <= leeway <= 60:  # noqa: PLR2004  # the bound that the docstring names
            raise ValueError("leeway must be from 0 to 60 seconds")
        self.tokens = TokenCheck(issuer, audience or issuer, leeway)
        self.issuer = self.tokens.issuers[-1]
        self.service = Service(self.issuer if service is None else service, internal_token)
        self.remembered = Remembered(remember, leeway)
        self.keys = Keys(self.service, self.remembered.clear)
        self.revocations = FollowedRevocations(self.service, leeway) if follow_logouts else None
        self._limits = {False: fail_closed_after, True: fail_closed_after_for_roles}
        self._following: list[asyncio.Task[None]] = []

    @property
    def news_age(self) -> float:
        """Seconds since the service last said which sessions have ended; infinity when it never did."""
        return self.revocations.age if self.revocations else float("inf")

    @property
    def is_stale(self) -> bool:
        """True when the news is so old that logouts are not seen here; tokens are verified all the same."""
        return self.revocations is not None and self.revocations.is_stale

    async def verify(self, token: str, *roles: str, acr: Level | None = None, max_age: int | None = None) -> Claims:
        """Return the claims of an access token whose bearer has one of these roles, if any are named.

        Args:
            token: as it was sent.
            roles: of which the bearer must have one.
            acr: how sure the sign-in must be, at least.
            max_age: how many seconds ago it may have been, at most.

        Raises:
            InvalidToken: for every defect of the token, and when its session has ended.
            InsufficientRole: the token is good, and the bearer has none of the roles.
            InsufficientAuthentication: the token is good, and the bearer signed in less surely, or longer ago.
            Unavailable: the service could not be asked what must be known.
        """
        claims = self.remembered.find_claims(token)
        if claims is None:
            claims = self.tokens.check(token, await self.keys.get(self.tokens.key_id(token)))
            self.remembered.add(token, claims)
        if self.revocations is not None:
            asks_more = bool(roles) or acr is not None or max_age is not None
            self._refuse_ended(claims, self.revocations, self._limits[asks_more])
        if roles and not set(roles) & set(claims.roles):
            raise InsufficientRole
        check_sign_in(claims, acr, max_age, self.tokens.leeway)
        return claims

    def _refuse_ended(self, claims: Claims, revocations: FollowedRevocations, limit: float | None) -> None:
        if claims.session_id in revocations:
            raise InvalidToken("its session has ended")
        if revocations.age > (sys.float_info.max if limit is None else limit):  # infinity: nothing was ever heard
            raise Unavailable("it is not known which sessions have ended")

    async def start(self) -> None:
        """Read keys and ended sessions, and follow both in the background. Starts without the service, too.

        Raises:
            WrongInternalToken: the service refuses the internal token.
        """
        if self._following:
            raise RuntimeError("the verifier has been started already")
        self.service.open()
        self._pause(False)
        self.keys.looking = asyncio.Lock()
        for part in self._parts():
            try:
                await part.read()
            except WrongInternalToken:
                await self.close()
                raise
            except ServiceError as error:
                logger.warning("%s was not ready at the start: %s", self.service.url, error)
        self._following = [asyncio.create_task(part.follow()) for part in self._parts()]

    def _parts(self) -> list[Keys | FollowedRevocations]:
        return [self.keys, self.revocations] if self.revocations else [self.keys]

    async def close(self) -> None:
        """Follow no more; what is known stays known."""
        following, self._following = self._following, []
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        await self.service.close()
        self._pause(True)

    def _pause(self, paused: bool) -> None:
        if self.revocations:
            self.revocations.paused = paused

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
