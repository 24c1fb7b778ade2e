"""The second factors of an app in this process: their rows, and challenges as the service makes them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from auth_service.models import FACTORS, SPENT_CHALLENGES, USERS
from auth_service.security.tokens.challenges import ChallengePurpose, Passed

from .client import Client
from .outbox import services_of

STEP = 30  # seconds


class StoredFactors:
    """The rows of the service that a client talks to."""

    def __init__(self, client: Client) -> None:
        services = services_of(client)
        self.database = services.gauges.database
        self._codec = services.second_factor._challenges

    async def set_last_step(self, factor_id: str, steps_from_now: int) -> None:
        """Let the last code that was used be of so many steps after this one, or before it."""
        step = int(datetime.now(UTC).timestamp()) // STEP + steps_from_now
        async with self.database.transaction() as tx:
            changed = update(FACTORS).where(FACTORS.c.id == UUID(factor_id)).values(last_step=step)
            assert (await tx.connection.execute(changed)).rowcount == 1

    async def spent_challenges(self) -> list[datetime]:
        """Until when each challenge that was used is kept."""
        async with self.database.statement() as tx:
            return list((await tx.connection.execute(select(SPENT_CHALLENGES.c.expires_at))).scalars())

    async def challenge(
        self,
        email: str = "ada@example.com",
        *,
        purpose: ChallengePurpose = ChallengePurpose.SECOND_FACTOR,
        age: float = 0,
    ) -> str:
        """A challenge for an account as it is now, made so many seconds ago."""
        async with self.database.statement() as tx:
            found = await tx.connection.execute(select(USERS).where(USERS.c.email_canonical == email))
            user: Any = found.one()
        at = datetime.now(UTC) - timedelta(seconds=age)
        made: str = self._codec.issue(purpose, user.id, user.credential_epoch, Passed.PASSWORD, at)
        return made
