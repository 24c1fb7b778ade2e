"""Who holds an access token, and whether its session is alive."""

from dataclasses import dataclass
from uuid import UUID

from auth_service.errors import InvalidAccessToken
from auth_service.repositories.database import Database
from auth_service.services.revocations import Revocations
from auth_service.services.signing_keys import SigningKeys


@dataclass(frozen=True)
class Bearer:
    """A user, and the session that speaks for them."""

    user_id: UUID
    session_id: UUID
    role: str


class Bearers:
    def __init__(self, database: Database, keys: SigningKeys, revocations: Revocations) -> None:
        self._database = database
        self._keys = keys
        self._revocations = revocations

    async def identify(self, access_token: str) -> Bearer:
        """Return the bearer, without asking the database unless the news about ended sessions is too old.

        Raises:
            InvalidAccessToken: for every defect of the token alike, and when its session has ended.
        """
        claims = await self._keys.verify(access_token)
        if self._revocations.is_ended(claims.session_id):
            raise InvalidAccessToken
        if self._revocations.is_stale and not await self._is_alive(claims.user_id, claims.session_id):
            raise InvalidAccessToken
        return Bearer(claims.user_id, claims.session_id, claims.role)

    async def _is_alive(self, user_id: UUID, session_id: UUID) -> bool:
        async with self._database.statement() as tx:
            return await tx.users.find_by_session(user_id, session_id) is not None
