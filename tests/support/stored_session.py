"""The row of a session, looked at and moved in time through the connection of the app under test.

A database in memory can be reached no other way, and the same lines then do for all three.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr
from sqlalchemy import select, update

from auth_service.models import REFRESH_TOKENS, USERS
from auth_service.repositories.database import Database

from . import roles
from .client import Client

TIMES = ("created_at", "authenticated_at", "last_used_at", "earlier_used_at", "expires_at")


class StoredSession:
    """The row of the session that these tokens belong to, and its user's."""

    def __init__(self, client: Client, tokens: dict[str, Any]) -> None:
        self._client, transport = client, client._transport
        assert isinstance(transport, httpx.ASGITransport)
        app: Any = transport.app
        self._database = app.state.services.refresh._database
        self._settings = app.state.services.settings.database
        self._id = UUID(tokens["session_id"])

    async def row(self) -> dict[str, Any]:
        """Every column of the session by its name."""
        async with self._database.statement() as tx:
            found = await tx.connection.execute(select(REFRESH_TOKENS).where(REFRESH_TOKENS.c.id == self._id))
            return dict(found.one()._mapping)

    async def change(self, **values: Any) -> None:
        """Set columns of the session, those too that the service may not."""
        async with self._of_owner() as database, database.transaction() as tx:
            await tx.connection.execute(update(REFRESH_TOKENS).where(REFRESH_TOKENS.c.id == self._id).values(**values))

    @asynccontextmanager
    async def _of_owner(self) -> AsyncIterator[Database]:
        url = self._settings.url.get_secret_value()
        owner = roles.as_owner(url)
        if owner == url:
            yield self._database
            return
        database = Database(self._settings.model_copy(update={"url": SecretStr(owner)}))
        try:
            yield database
        finally:
            await database.dispose()

    async def change_user(self, **values: Any) -> None:
        """Set columns of the session's user."""
        user_id = (await self.row())["user_id"]
        async with self._database.transaction() as tx:
            await tx.connection.execute(update(USERS).where(USERS.c.id == user_id).values(**values))

    async def time_passes(self, **duration: float) -> None:
        """Let so much time have passed since all that ever happened to the session; the clock stays where it is."""
        past, row = timedelta(**duration), await self.row()
        times = {name: row[name] and row[name] - past for name in TIMES}
        await self.change(rotations=[time - past for time in row["rotations"]], **times)

    async def grows_old(self, tokens: dict[str, Any], **duration: float) -> str:
        """Let so much time pass, and return the access token that the next refresh gives."""
        await self.time_passes(**duration)
        token: str = (await self._client.rotate(tokens["refresh_token"]))["access_token"]
        return token

    async def forget(self, rotations: int) -> None:
        """Take the last rotations back, as a failover to a standby that had not yet received them."""
        row = await self.row()
        generation = row["generation"] - rotations
        await self.change(generation=generation, rotated_to=generation, rotations=row["rotations"][rotations:])
