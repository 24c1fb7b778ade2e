"""Whether an account may be used. Whoever is disabled is out everywhere, for good."""

from collections.abc import Sequence
from uuid import UUID

from auth_service.errors import NoSuchUser
from auth_service.identifiers import canonical_email
from auth_service.models import EndReason
from auth_service.repositories.database import Database, retried


class AccountStates:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_active(self, email: str, *, active: bool) -> int:
        """Enable or disable the account of an e-mail address; return how many sessions ended with it.

        Raises:
            NoSuchUser: nobody has this address.
        """
        return len(await self._set_active(canonical_email(email), active=active))

    @retried
    async def _set_active(self, email_canonical: str, *, active: bool) -> Sequence[UUID]:
        """The epoch rises both ways, so that no session from before ever comes back."""
        async with self._database.transaction() as tx:
            user_id = await tx.users.set_active(email_canonical, active=active)
            if user_id is None:
                if await tx.users.find_by_email(email_canonical) is None:
                    raise NoSuchUser
                return ()  # it is so already, and whoever is signed in stays
            return await tx.user_sessions.revoke_of_user(user_id, EndReason.USER_DISABLED)
