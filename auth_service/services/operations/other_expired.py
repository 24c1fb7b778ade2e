"""The part of a clean-up that comes after the sessions: whatever else has expired, batch by batch."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeAlias

import structlog

from auth_service.database.errors import TransactionConflict
from auth_service.repositories.audit.trail import Upkeep
from auth_service.repositories.database import Database
from auth_service.repositories.transaction import Transaction
from auth_service.services.operations.batches import BATCH_BUDGET, Batches, Delete
from auth_service.services.operations.session_cleanup import COUNT_BUDGET
from auth_service.settings import MAX_ACCESS_LIFETIME

log = structlog.get_logger()

SHARE = 0.33  # of the time for the sessions, for what else expires, each
Count: TypeAlias = Callable[[Transaction], Awaitable[int]]
# What has a count is to be gone in time, like the sessions; of the others there are few.
EXPIRING: dict[str, tuple[Delete, Count | None]] = {
    "throttles_deleted": (
        lambda tx, limit: tx.throttles.delete_expired(limit),
        lambda tx: tx.throttles.count_expired(),
    ),
    "links_deleted": (lambda tx, limit: tx.link_uses.delete_expired(limit), lambda tx: tx.link_uses.count_expired()),
    "challenges_deleted": (
        lambda tx, limit: tx.expired_factors.delete_spent(limit),
        lambda tx: tx.expired_factors.count_spent(),
    ),
    "factors_deleted": (lambda tx, limit: tx.expired_factors.delete_unconfirmed(limit), None),
}


class OtherExpired:
    def __init__(
        self, database: Database, batches: Batches, audit_retention: timedelta, unverified_lifetime: timedelta
    ) -> None:
        """Take how long the trail is kept, and how long a registration that nobody uses (0 for ever)."""
        self._database = database
        self._batches = batches
        self._retention = audit_retention
        self._unverified_lifetime = unverified_lifetime
        self.gone: dict[str, int] = {}
        """How much of each part went so far, by its name in the report."""

    async def delete_all(self) -> None:
        """Delete it, part by part.

        Raises:
            DatabaseUnavailable: what was deleted before is deleted.
        """
        if self._batches.is_stopped:
            return
        await self._forget_deleted_sessions()
        for name, (delete, count) in EXPIRING.items():
            await self._delete(delete, count, partial(self.gone.__setitem__, name))
        if self._unverified_lifetime:
            await self._expire_registrations()
        trail = await self._keep_trail()
        self.gone |= {"audit_made": trail.made, "audit_dropped": trail.dropped}

    async def _forget_deleted_sessions(self) -> None:
        async with self._database.transaction(BATCH_BUDGET) as tx:
            await tx.allow_slow_statements(BATCH_BUDGET)
            await tx.revocation_feed.forget(after=MAX_ACCESS_LIFETIME * 2)

    async def _delete(
        self, delete: Delete, count: Count | None = None, tell: Callable[[int], None] = lambda _deleted: None
    ) -> int:
        """Delete what has expired, batch by batch until none is left or the time is up; return how much, and tell it
        after each batch.
        """
        if self._batches.is_stopped:
            return 0
        expected = await self._count(count) if count and not self._batches.is_over else 0
        self._batches.expect(expected, SHARE)
        deleted = 0
        while True:
            gone = await self._batches.run(delete)
            deleted += gone or 0
            tell(deleted)
            if gone is None or self._batches.is_through or not await self._batches.go_on():
                return deleted
            self._batches.remain(expected - deleted)

    async def _count(self, count: Count) -> int:
        async with self._database.transaction(COUNT_BUDGET) as tx:
            await tx.allow_slow_statements(COUNT_BUDGET)
            return await count(tx)

    async def _expire_registrations(self) -> None:
        """Delete accounts that nobody has verified or used in their lifetime."""
        expired = 0

        async def expire(tx: Transaction, limit: int) -> int:
            nonlocal expired
            batch = await tx.registrations.expire(self._unverified_lifetime, limit)
            expired += batch.expired
            return batch.seen

        await self._delete(expire, tell=lambda _seen: self.gone.update(registrations_deleted=expired))

    async def _keep_trail(self) -> Upkeep:
        """Keep the audit trail, unless another run does. Dropping a month waits half a second for those who read."""
        if not self._database.dialect.has_partitions:
            return Upkeep(0, await self._delete(lambda tx, limit: tx.audit_trail.delete_old(self._retention, limit)))
        if self._batches.is_stopped:
            return Upkeep(0, 0)
        try:
            async with self._database.transaction(BATCH_BUDGET) as tx:
                if await tx.become_only_cleaner(BATCH_BUDGET) and await self._batches.hold(tx):
                    return await tx.audit_trail.keep(self._retention)
        except TransactionConflict:
            log.warning("audit.not_kept", hint="the table was being read for too long; the next run tries again")
        return Upkeep(0, 0)
