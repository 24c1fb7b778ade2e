"""Transactions, lone statements and reads. Every failure in here becomes a `DatabaseUnavailable`."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar

from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from auth_service.database import schema
from auth_service.database.connection import Connection
from auth_service.database.dialects import dialect_of
from auth_service.database.errors import TransactionConflict
from auth_service.database.pool import Pool
from auth_service.database.replica import Replica
from auth_service.repositories.audit.events import AuditEvents
from auth_service.repositories.audit.trail import AuditTrail
from auth_service.repositories.factors.enrolments import Enrolments
from auth_service.repositories.factors.proofs import FactorProofs
from auth_service.repositories.job_leases import JobLeases
from auth_service.repositories.mail.link_tokens import LinkTokens
from auth_service.repositories.mail.link_uses import LinkUses
from auth_service.repositories.mail.outbox import Outbox
from auth_service.repositories.sessions.expired import ExpiredSessions
from auth_service.repositories.sessions.logins import Logins
from auth_service.repositories.sessions.refresh_tokens import RefreshTokens
from auth_service.repositories.sessions.revocation_feed import RevocationFeed
from auth_service.repositories.sessions.sweep import SessionSweep
from auth_service.repositories.sessions.user_sessions import UserSessions
from auth_service.repositories.signing_keys import SigningKeys
from auth_service.repositories.throttles.throttles import Throttles
from auth_service.repositories.users.administration import UserAdministration
from auth_service.repositories.users.imports import UserImports
from auth_service.repositories.users.pending_changes import PendingChanges
from auth_service.repositories.users.registrations import Registrations
from auth_service.repositories.users.search import UserSearch
from auth_service.repositories.users.skeletons import Skeletons
from auth_service.repositories.users.stored_hashes import StoredHashRows
from auth_service.repositories.users.users import Users
from auth_service.settings import DatabaseSettings

CLEANUP_LOCK = 4_711_002  # beside the migrators' lock, see migrations/env.py

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
Repository = TypeVar("Repository")
UseCase: TypeAlias = Callable[Arguments, Coroutine[Any, Any, Answer]]

DISK_REMEMBERED = 60.0  # seconds
PAUSE = (0.005, 0.05)  # seconds, the least and the most, before something is run again


def retried(use_case: UseCase[Arguments, Answer]) -> UseCase[Arguments, Answer]:
    """For a use case whose transaction lost a deadlock, a conflict or a lock: it is run again, at most twice."""

    @wraps(use_case)
    async def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        for _ in range(2):
            try:
                return await use_case(*args, **kwargs)
            except TransactionConflict:
                await pause()
        return await use_case(*args, **kwargs)

    return run


async def pause() -> None:
    """Wait a little before what has lost is run again: a random time, which spreads the crowd."""
    await asyncio.sleep(random.uniform(*PAUSE))  # noqa: S311  # no secret


class _Repository(Generic[Repository]):
    """A repository of a transaction, made when it is asked for: most use cases need one of them."""

    def __init__(self, make: "Callable[[Transaction], Repository]") -> None:
        self._make = make

    def __get__(self, tx: "Transaction", _owner: object) -> Repository:
        return self._make(tx)


class Transaction:
    """A unit of work: SQLModel's session, and the repositories over it."""

    connection: Connection
    audit: AuditEvents
    outbox: Outbox
    audit_trail = _Repository(lambda tx: AuditTrail(tx.connection))
    users = _Repository(lambda tx: Users(tx.connection, tx.audit))
    refresh_tokens = _Repository(lambda tx: RefreshTokens(tx.connection, tx.audit))
    user_administration = _Repository(lambda tx: UserAdministration(tx.connection, tx.audit))
    user_search = _Repository(lambda tx: UserSearch(tx.connection))
    skeletons = _Repository(lambda tx: Skeletons(tx.connection))
    stored_hashes = _Repository(lambda tx: StoredHashRows(tx.connection))
    user_imports = _Repository(lambda tx: UserImports(tx.connection))
    user_sessions = _Repository(lambda tx: UserSessions(tx.connection, tx.audit))
    revocation_feed = _Repository(lambda tx: RevocationFeed(tx.connection))
    expired_sessions = _Repository(lambda tx: ExpiredSessions(tx.connection))
    session_sweep = _Repository(lambda tx: SessionSweep(tx.connection))
    logins = _Repository(lambda tx: Logins(tx.connection, tx.audit, tx.outbox))
    factors = _Repository(lambda tx: Enrolments(tx.connection, tx.audit))
    factor_proofs = _Repository(lambda tx: FactorProofs(tx.connection))
    link_tokens = _Repository(lambda tx: LinkTokens(tx.connection))
    link_uses = _Repository(lambda tx: LinkUses(tx.connection, tx.audit))
    pending_changes = _Repository(lambda tx: PendingChanges(tx.connection, tx.audit))
    registrations = _Repository(lambda tx: Registrations(tx.connection, tx.audit))
    job_leases = _Repository(lambda tx: JobLeases(tx.connection))
    throttles = _Repository(lambda tx: Throttles(tx.connection))
    signing_keys = _Repository(lambda tx: SigningKeys(tx.connection, tx.audit))

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.audit = AuditEvents(connection)
        self.outbox = Outbox(connection)

    @property
    def session(self) -> AsyncSession:
        """SQLModel's session. The block that got the transaction commits it, and nothing else does."""
        return self.connection.session

    async def become_only_cleaner(self, budget: timedelta) -> bool:
        """Try to be the one clean-up at work until this transaction ends (a lock of the transaction survives a pooler).

        Between its transactions, a clean-up has a lease. Its commit waits for the disk like any other: what it has
        logged would else be waited for by the next refresh.
        """
        return await self.connection.dialect.try_lock(self.session, CLEANUP_LOCK, budget)

    async def allow_slow_statements(self, budget: timedelta) -> None:
        """Lift the statement time-out for this transaction: a job may take longer than a request."""
        await self.connection.dialect.limit_statements(self.session, budget)


class Reading:
    """The repositories of lists, searches and counts, bound to a connection that may be a little behind.

    Nothing that decides who gets in may ever be one of them.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.user_search = UserSearch(connection)


class Database:
    """Connections to PostgreSQL and perhaps its read replica, or to the embedded SQLite."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.dialect = dialect_of(settings)
        self._pool = Pool(settings)
        self.replica = Replica(settings) if settings.read_replica_url else None
        self.mail_was_written = asyncio.Event()
        self.has_two_connections = self.dialect.is_server and not settings.pgbouncer and settings.largest_pool > 1
        """Whether a connection may do for long what another one waits for."""

    @asynccontextmanager
    async def transaction(self, budget: timedelta | None = None) -> AsyncIterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back if it raises.

        Raises:
            DatabaseUnavailable: no connection, no answer within the budget, or a lost connection.
        """
        async with self._pool.explicit(budget) as connection, connection.session.begin():
            # On SQLite this waits for the lock: what comes after must not take the time from before.
            await connection.session.connection()
            tx = Transaction(connection)
            yield tx
        self._tell(tx)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Transaction]:
        """For use cases of one statement, or of several that need no common fate: no BEGIN and no COMMIT is sent.

        On SQLite, and through a pooler, the block is one transaction all the same. On SQLite it takes the lock when it
        writes, and has to write first then: what has read already is refused the lock at once while somebody else has
        it. `tests/support/late_writes.py` watches that.

        Raises:
            DatabaseUnavailable: as in `transaction()`.
        """
        async with self._pool.single() as connection:
            tx = Transaction(connection)
            yield tx
            if connection.in_transaction:  # not if the driver alone was at work
                await connection.session.commit()
        self._tell(tx)

    def _tell(self, tx: Transaction) -> None:
        """Tell what is committed: the security events to the log, and mail to the dispatcher."""
        tx.audit.tell()
        if tx.outbox.was_written:
            self.mail_was_written.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """For lists, searches and counts: on the read replica if there is one that works, else as in `statement()`.

        Its user is `@retried`: the block of a replica that failed in the middle is run again, on the primary.

        Raises:
            TransactionConflict: the replica failed; the next block goes to the primary.
            DatabaseUnavailable: as in `transaction()`.
        """
        async with AsyncExitStack() as stack:
            connection = await self.replica.enter(stack) if self.replica else None
            if connection is None:
                connection = await stack.enter_async_context(self._pool.single())
            yield Reading(connection)
            await connection.session.commit()

    @property
    def disk_was_full(self) -> bool:
        """Whether a write met a full disk in the last minute."""
        return time.monotonic() - self._pool.disk_full_at < DISK_REMEMBERED

    def numbers(self) -> dict[str, int]:
        """The pool's size, how many connections are out and beyond the size, who waits, and who waited in vain."""
        return self._pool.numbers()

    async def run_sync(self, work: Callable[..., Any], budget: timedelta) -> Any:
        """Run blocking SQLAlchemy code, such as a migration, in one transaction."""
        async with self.transaction(budget) as tx:
            return await (await tx.session.connection()).run_sync(work)

    async def run_statements(self, work: Callable[..., Any], budget: timedelta) -> Any:
        """Run blocking SQLAlchemy code statement by statement, each of which commits itself.

        Its connection is closed after that, so that the code may set on it what it likes.
        """
        async with self._pool.single(budget) as connection:
            try:
                return await connection.whole.run_sync(work)
            finally:
                connection.drop()

    async def check(self) -> None:
        """Ask for `SELECT 1`; raises `DatabaseUnavailable`."""
        async with self.statement() as tx:
            await tx.session.scalar(text("SELECT 1"))

    async def check_schema(self) -> schema.SchemaState:
        """Return how the schema stands to this code; raises as `schema.check` does."""
        async with self.statement() as tx:
            return await (await tx.session.connection()).run_sync(schema.check)

    async def now(self) -> datetime:
        """The database's time; raises `DatabaseUnavailable`."""
        async with self.statement() as tx:
            now: datetime = (await tx.session.exec(select(tx.connection.dialect.now()))).one()
            return now

    async def dispose(self) -> None:
        """Close every connection; those that are still being waited for are dropped."""
        await self._pool.dispose()
        if self.replica:
            await self.replica.dispose()
