"""The counts of attempts, looked at and moved in time through the connection of the app under test."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select, update

from auth_service.models import THROTTLES

from .client import Client

T = THROTTLES.c
WRONG = "a wrong guess, and long"
GATEWAY = {"trusted": "127.0.0.1"}  # settings for tests in which requests come from many addresses
ATTACKER, OWNER = "192.0.2.66", "192.0.2.1"


def coming_from(client_ip: str) -> dict[str, str]:
    """The header that a gateway adds."""
    return {"X-Forwarded-For": client_ip}


async def guess(client: Client, email: str = "ada@example.com", client_ip: str = ATTACKER) -> httpx.Response:
    """Try a wrong password from an IP address."""
    return await client.login(email, WRONG, headers=coming_from(client_ip))


async def enter(client: Client, email: str = "ada@example.com", client_ip: str = OWNER) -> httpx.Response:
    """Try the right password from an IP address."""
    return await client.login(email, headers=coming_from(client_ip))


class StoredAttempts:
    """The rows of the app that a client talks to. A tally is named by its purpose and what it is about."""

    def __init__(self, client: Client) -> None:
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        app: Any = transport.app
        login = app.state.services.login
        self._database, self._keys = login._throttle._database, login._throttle._tallies.keys

    def key(self, *tally: str) -> bytes:
        """The key of a tally."""
        what, *about = tally
        if what not in {"login", "right logins", "second factor"}:
            return bytes(self._keys.of(*tally))
        account, *network = about
        try:
            who = UUID(account).bytes
        except ValueError:
            who = self._keys.of("unknown", account)
        return hashlib.sha256(self._keys.of(what, *network) + who).digest()

    async def rows(self) -> dict[bytes, dict[str, Any]]:
        """Every row by its key."""
        async with self._database.statement() as tx:
            return {row.key: dict(row._mapping) for row in await tx.connection.execute(select(THROTTLES))}

    async def failures(self, *tally: str) -> int:
        """The failures that a tally has."""
        return int((await self.rows())[self.key(*tally)]["failures"])

    async def pending(self) -> int:
        """The attempts that are not decided, of all tallies."""
        return sum(row["pending"] for row in (await self.rows()).values())

    async def set(self, *tally: str, **values: Any) -> None:
        """Set columns of the row of a tally, which exists, and end its block."""
        values = {"blocked_until": datetime.now(UTC) - timedelta(seconds=1), **values}
        async with self._database.transaction() as tx:
            changed = update(THROTTLES).where(T.key == self.key(*tally)).values(**values)
            assert (await tx.connection.execute(changed)).rowcount == 1

    async def time_passes(self, **duration: float) -> None:
        """Let so much time have passed since everything that was counted; the clock stays where it is."""
        past, rows = timedelta(**duration), await self.rows()
        async with self._database.transaction() as tx:
            for key, row in rows.items():
                times = {name: row[name] - past for name in ("pending_until", "blocked_until", "expires_at")}
                await tx.connection.execute(update(THROTTLES).where(T.key == key).values(**times))
