"""The secrets of second factors, encrypted again under the newest secret key, so that the older ones can be dropped."""

from dataclasses import dataclass
from uuid import UUID

from auth_service.models import Factor
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.security.factors.totp import open_totp_secret, seal_totp_secret
from auth_service.security.keys import SecretKeys

AT_ONCE = 500


@dataclass
class Rewrapped:
    """How many factors were encrypted again, and how many could not be opened."""

    done: int = 0
    unreadable: int = 0


class FactorRewrapping:
    def __init__(self, database: Database, secrets: SecretKeys) -> None:
        self._database = database
        self._secrets = secrets

    async def rewrap(self) -> Rewrapped:
        """Encrypt every factor again, in batches, each a transaction; return what became of them.

        One that cannot be opened stays as it is: its secret key is not listed, or the row is none of ours.
        """
        told, behind, is_last = Rewrapped(), None, False
        while not is_last:
            behind, is_last = await self._rewrap_batch(told, behind)
        return told

    @retried
    async def _rewrap_batch(self, told: Rewrapped, behind: UUID | None) -> tuple[UUID | None, bool]:
        """Return the last factor that was looked at, and whether no other one is behind it."""
        batch = Rewrapped()
        async with self._database.transaction() as tx:
            newest = self._secrets.newest.id.hex()
            factors = await tx.factors.find_sealed_otherwise(newest, behind, AT_ONCE)
            for factor in factors:
                await self._rewrap_one(tx, factor, batch)
        told.done, told.unreadable = told.done + batch.done, told.unreadable + batch.unreadable
        return factors[-1].id if factors else behind, len(factors) < AT_ONCE

    async def _rewrap_one(self, tx: Transaction, factor: Factor, batch: Rewrapped) -> None:
        secret = open_totp_secret(factor.secret or b"", factor.secret_id or "", factor.id, self._secrets)
        if secret is None:
            batch.unreadable += 1
        elif await tx.factors.reseal(factor, *seal_totp_secret(secret, factor.id, self._secrets)):
            batch.done += 1
