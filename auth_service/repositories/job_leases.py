"""Which process does what only one is to do. A lease survives a pooler, and needs no connection meanwhile."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, update

from auth_service.database.connection import Connection
from auth_service.models import JOB_LEASES

J = JOB_LEASES.c


class JobLeases:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect

    async def take(self, job: str, holder: UUID, life: timedelta, *, from_others: bool = False) -> bool:
        """Take a lease, or renew it; False if another holder has it, unless it is to be taken from others."""
        added = self._dialect.insert(JOB_LEASES).values(job=job, holder=holder, expires_at=self._dialect.now(life))
        new = added.excluded
        is_free = or_(J.holder == new.holder, J.expires_at <= self._dialect.now())
        taken = added.on_conflict_do_update(
            index_elements=[J.job],
            set_={"holder": new.holder, "expires_at": new.expires_at},
            where=None if from_others else is_free,
        ).returning(J.holder)
        return (await self._connection.execute(taken)).first() is not None

    async def give_back(self, job: str, holder: UUID) -> None:
        """Let the next one take it at once, if this holder still has it."""
        over = self._dialect.now(-timedelta(seconds=1))
        await self._connection.execute(
            update(JOB_LEASES).where(J.job == job, J.holder == holder).values(expires_at=over)
        )
