"""The operator's door for accounts: what `auth-service users disable EMAIL` calls, without a new process each time."""

import asyncio

from auth_service.errors import DatabaseUnavailable
from auth_service.repositories.database import Database
from auth_service.services.accounts.status import set_account_active
from auth_service.settings import DatabaseSettings
from torture.history import Attempt, History, now

PAUSE = 0.3


class Operator:
    def __init__(self, history: History, database_url: str) -> None:
        self._history = history
        self._database = Database(DatabaseSettings(DATABASE_URL=database_url, _env_file=None))
        self._number = 0

    async def set_active(self, user: str, email: str, *, active: bool) -> None:
        """Disable or enable an account, again and again until it is done; each try is one line of the history."""
        while not await self._try(user, email, active=active):  # noqa: ASYNC110  # nobody tells when it can be done
            await asyncio.sleep(PAUSE)

    async def _try(self, user: str, email: str, *, active: bool) -> bool:
        self._number += 1
        number, status, start = f"o{self._number}", 200, now()
        try:
            await set_account_active(self._database, email, active=active)
        except DatabaseUnavailable:
            status = 503
        op = "enable" if active else "disable"
        self._history.attempt(Attempt(number, op, "operator-0", start, now(), status, user=user))
        return status == 200

    async def close(self) -> None:
        await self._database.dispose()
