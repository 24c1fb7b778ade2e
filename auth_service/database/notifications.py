"""What PostgreSQL tells at once: LISTEN on a connection of our own."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from auth_service.database.dialects import dialect_of
from auth_service.database.dialects.postgresql import connect_args
from auth_service.database.hosts import CONNECTION_LOST
from auth_service.errors import DatabaseUnavailable
from auth_service.settings import DatabaseSettings

ASK_EVERY = 5.0  # seconds
CHANNEL = "auth_session_ended"  # the triggers of the migrations notify it


class Notifications:
    """Passes on the ids of sessions as they end. Misses are made good by a poll, so nothing here is relied upon."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings

    @property
    def available(self) -> bool:
        """Whether there are any; without them, a poll finds the ends of sessions."""
        return dialect_of(self._settings).notifies(self._settings)

    async def listen(self, on_ended: Callable[[UUID], None]) -> None:
        """Listen until the connection is lost, or the server no longer answers on it.

        Raises:
            DatabaseUnavailable: it was lost, or could not be had.
        """

        def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            with suppress(ValueError):  # any client that may connect may notify
                on_ended(UUID(str(payload)))

        arguments = connect_args(self._settings)
        try:
            connection: Any = await arguments.pop("async_creator_fn")(**arguments)
        except CONNECTION_LOST as error:
            raise DatabaseUnavailable from error
        try:
            async with asyncio.timeout(ASK_EVERY):
                await connection.add_listener(CHANNEL, heard)
            while True:  # a server that has gone without a word never says so: ask it
                await asyncio.sleep(ASK_EVERY)
                await connection.execute("SELECT 1", timeout=ASK_EVERY)
        except CONNECTION_LOST as error:
            raise DatabaseUnavailable from error
        finally:
            connection.terminate()
