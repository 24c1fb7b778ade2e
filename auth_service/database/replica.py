"""The read replica, for as long as it is of use; without it, reads go to the primary."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

import structlog
from sqlalchemy import text

from auth_service import logs
from auth_service.database.connection import Connection
from auth_service.database.errors import StatementTooSlow, TransactionConflict
from auth_service.database.pool import Pool
from auth_service.errors import DatabaseUnavailable
from auth_service.settings import DatabaseSettings

log = structlog.get_logger()

PATIENCE = timedelta(
    seconds=1
)  # for a connection and its first answer; a read that has waited so long can still be done
PAUSE = timedelta(seconds=5)  # without the replica after a failure, and between trials

# Behind is who has not replayed all that it has received, or receives nothing. The age of the last commit that was
# replayed is then the most it can be; without writes that age grows, and a replica that has replayed all has no lag.
_QUESTION = text(
    "SELECT pg_is_in_recovery(), CASE"
    " WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0"
    " ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END"
)


class ReplicaFailed(TransactionConflict):
    """The replica failed in the middle of a block, which may be run again: then on the primary."""


class NotAReplica(DatabaseUnavailable):
    """The server is no standby: promoted, or named by mistake."""

    code = "not-a-standby"
    detail = "The server of DATABASE_URL is no standby: it was promoted, or is named by mistake."


class ReplicaBehind(DatabaseUnavailable):
    """The replica lags more than the settings allow, or its lag is unknown."""

    code = "behind"
    detail = "The standby of DATABASE_URL lags by more than DB_READ_REPLICA_MAX_LAG, or its lag is unknown."


def detail_of(error: DatabaseUnavailable) -> str:
    """What is wrong with the replica, and with its URL: the sentences are those of the primary."""
    return error.detail.replace("DATABASE_URL", "DATABASE_READ_REPLICA_URL")


class Replica:
    """A pool of connections to the replica, and whether it is of use: a breaker that closes by itself."""

    def __init__(self, settings: DatabaseSettings) -> None:
        connect_timeout = min(settings.connect_timeout, PATIENCE * 0.8)  # so that the second of two hosts has its turn
        replica = settings.of_read_replica.model_copy(update={"connect_timeout": connect_timeout})
        self._pool = Pool(replica, read_only=True)
        self._max_lag = settings.read_replica_max_lag.total_seconds()
        self._next_trial = 0.0
        self.is_up = True
        self.lag: float | None = None  # seconds, the most that it can be, when last asked
        self.fallbacks = 0

    async def enter(self, stack: AsyncExitStack) -> Connection | None:
        """Return a connection to the replica, given back with the stack, or None if the primary has to be asked.

        A replica that does not answer costs at most a second, and only one read every five seconds.
        """
        if self._is_worth_a_trial():
            with suppress(DatabaseUnavailable):
                return await stack.enter_async_context(self._connection())
        self.fallbacks += 1
        return None

    async def check(self) -> None:
        """Ask the server now, whatever was found before; raises `DatabaseUnavailable`, which says what is wrong."""
        async with self._pool.single(PATIENCE) as connection:
            await self._examine(connection)

    def _is_worth_a_trial(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self.is_up:
            return True
        if now < self._next_trial:
            return False
        self._next_trial = now + PAUSE.total_seconds()  # one tries; the others do not wait for the outcome
        return True

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with self._pool.single(PATIENCE) as connection:
                await self._examine(connection)
                self._pool.extend(connection)
                yield connection
        except StatementTooSlow:  # it would be on the primary, which others need
            raise
        except DatabaseUnavailable as error:
            self._record_failure(error)
            raise ReplicaFailed from error
        self._record_success()

    async def _examine(self, connection: Connection) -> None:
        """Ask for its state; raises `NotAReplica` or `ReplicaBehind`."""
        is_standby, self.lag = (await connection.execute(_QUESTION)).one()
        if not is_standby:
            raise NotAReplica
        if self.lag is None or self.lag > self._max_lag:  # None: it has never replayed a commit, and there is one
            raise ReplicaBehind

    def _record_failure(self, error: DatabaseUnavailable) -> None:
        self._next_trial = asyncio.get_running_loop().time() + PAUSE.total_seconds()
        self.lag = self.lag if isinstance(error, ReplicaBehind) else None
        if self.is_up:
            self.is_up = False
            told = {"detail": detail_of(error), "caused_by": logs.causes_of(error)}
            log.warning("replica.lost", because=error.code, lag=self.lag, **told)

    def _record_success(self) -> None:
        if not self.is_up:
            self.is_up = True
            log.info("replica.back", lag=self.lag)

    async def dispose(self) -> None:
        await self._pool.dispose()
