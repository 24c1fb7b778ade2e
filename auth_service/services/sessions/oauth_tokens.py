"""Tokens as OAuth sees them: introspected (RFC 7662) and revoked (RFC 7009), whichever of the two kinds they are."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from auth_service.errors import InvalidAccessToken, NoSuchSession
from auth_service.security.tokens.refresh_tokens import looks_like_refresh_token
from auth_service.services.sessions.bearers import Bearers
from auth_service.services.sessions.own_sessions import OwnSessions
from auth_service.services.sessions.refresh import Refresh


class ActiveToken(NamedTuple):
    """What an active token says. Times are in seconds since 1970; a refresh token has no `issued_at` and no `jti`."""

    user_id: UUID
    session_id: UUID
    role: str
    expires_at: int
    issued_at: int | None = None
    jti: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    amr: Sequence[str] = ()


class OAuthTokens:
    def __init__(self, bearers: Bearers, refresh: Refresh, own_sessions: OwnSessions) -> None:
        self._bearers = bearers
        self._refresh = refresh
        self._own_sessions = own_sessions

    async def introspect(self, token: str) -> ActiveToken | None:
        """Return what a token says if it would be accepted now; None for anything else. Changes nothing.

        Raises:
            Unavailable: it cannot be known just now.
        """
        if looks_like_refresh_token(token):
            found = await self._refresh.inspect(token)
            if found is None:
                return None
            session, usable_until = found
            return ActiveToken(
                session.user_id,
                session.id,
                session.role,
                int(usable_until.timestamp()),
                auth_time=int(session.authenticated_at.timestamp()),
                acr=session.acr,
                amr=session.amr.split(),
            )
        try:
            bearer = await self._bearers.identify(token)
        except InvalidAccessToken:
            return None
        return ActiveToken(
            bearer.user_id,
            bearer.session_id,
            bearer.role,
            bearer.expires_at,
            bearer.issued_at,
            bearer.jti,
            bearer.auth_time,
            bearer.acr,
            bearer.amr,
        )

    async def revoke(self, token: str) -> None:
        """End the session of a token; one that opens nothing is revoked already (RFC 7009, section 2.2).

        An access token ends its session too: what it was issued for is one and the same grant (section 2.1).
        """
        if looks_like_refresh_token(token):
            await self._refresh.logout(token)
            return
        with suppress(InvalidAccessToken, NoSuchSession):
            bearer = await self._bearers.identify(token)
            await self._own_sessions.end_one(bearer, bearer.session_id)
