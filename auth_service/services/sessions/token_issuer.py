"""The pair of tokens that a session's client gets."""

from dataclasses import dataclass, field
from uuid import UUID

from auth_service.logs import USER_ID
from auth_service.models import SessionRules, SessionState
from auth_service.security.tokens.access_tokens import IssuedToken
from auth_service.security.tokens.claims import Subject
from auth_service.security.tokens.refresh_tokens import RefreshTokenCodec
from auth_service.services.signing_keys.key_ring import KeyRing


@dataclass(frozen=True)
class TokenPair:
    """What a client gets. Lives are in seconds, that of the refresh token if nothing is refreshed before."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)
    refresh_expires_in: int
    session_id: UUID


class TokenIssuer:
    def __init__(self, tokens: RefreshTokenCodec, keys: KeyRing, rules: SessionRules) -> None:
        self._tokens = tokens
        self._keys = keys
        self._rules = rules

    async def ensure_ready(self) -> None:
        """Return if access tokens can be signed; raises `Unavailable`. It may wait: ask while nothing is held."""
        await self._keys.signer()

    async def issue(self, session: SessionState, secret: bytes, generation: int) -> TokenPair:
        """Return the tokens of a session at this generation, whose refresh tokens have this secret."""
        access_token, expires_in = await self.access_token(session)
        refresh_token = self._tokens.issue(secret, generation)
        return TokenPair(access_token, expires_in, refresh_token, self._seconds_left(session), session.id)

    async def access_token(self, session: SessionState) -> IssuedToken:
        """Return an access token of a session, which never outlives it."""
        USER_ID.set(session.user_id)
        subject = Subject(session.user_id, session.id, session.role, session.authenticated_at, session.acr, session.amr)
        return await self._keys.sign(subject, session.now, self._seconds_left(session))

    def _seconds_left(self, session: SessionState) -> int:
        return int((session.usable_until(self._rules) - session.now).total_seconds())
