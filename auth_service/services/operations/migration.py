"""Migrations prepared beside running services, before the transaction that changes the schema."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from auth_service.database import migrator
from auth_service.database.errors import TransactionConflict
from auth_service.database.schema import HEAD
from auth_service.repositories.database import Database
from auth_service.services.operations.usernames import Usernames, log_filled

PAUSE = 0.3  # seconds


async def migrate(
    database: Database,
    work: Callable[[Any], Any] = migrator.upgrade,
    target: str = HEAD,
    tell: Callable[[int], None] = log_filled,
) -> Any:
    """Prepare the migrations up to the target, and return what the work returns, which makes them in a transaction.

    At head, the schema then gets to know what usernames look like, before anybody registers another one; `tell` is told
    now and then how many are done.

    Raises as `prepare` and the work do.
    """
    await prepare(database, target)
    done = await database.run_sync(work, migrator.BUDGET)
    if target == HEAD:
        await Usernames(database).fill_skeletons(tell)
    return done


async def prepare(database: Database, target: str = HEAD) -> None:
    """Prepare the migrations up to the target, or wait until another migrator has done it.

    Through a pooler, or with a pool of one connection, nothing is prepared, and the migration does all of it.

    Raises:
        NotTheOwner: it is not for the role to change the schema.
        TransactionConflict: another migrator has not come to its end.
        DatabaseUnavailable: as in `Database.transaction()`; what is prepared by then stays.
    """
    deadline = asyncio.get_running_loop().time() + migrator.BUDGET.total_seconds()
    while database.has_two_connections and not await _is_prepared(database, target):
        if asyncio.get_running_loop().time() > deadline:
            raise TransactionConflict
        await asyncio.sleep(PAUSE)


async def _is_prepared(database: Database, target: str) -> bool:
    """The transaction does nothing but hold the turn of this migrator; False if it is another one's."""
    async with database.transaction(migrator.PREPARING) as tx:
        line = await tx.session.connection()
        is_our_turn = await line.run_sync(migrator.try_turn)
        steps = await line.run_sync(migrator.preparations, target)
        if not steps or not is_our_turn:
            return not steps
        await line.run_sync(migrator.hold_turn)
        await database.run_statements(partial(migrator.prepare, steps=steps), migrator.PREPARING)
        return True
