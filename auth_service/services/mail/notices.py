"""Mail from the use cases' side: whether there is any, and the notices that are written if there is."""

import time
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from auth_service.errors import DatabaseUnavailable, MailNotConfigured
from auth_service.models import REQUESTER, UNKNOWN_DEVICE, Device, FactorKind, MailKind, SecurityEvent
from auth_service.repositories.database import Database
from auth_service.repositories.transaction import Transaction


@dataclass
class MailNumbers:
    """What this process did with mail, and what it last saw waiting.

    `oldest` is the age of the oldest mail in seconds, at the time `counted_at` of the monotonic clock.
    """

    sent: int = 0
    failed: int = 0
    given_up: int = 0
    waiting: int = 0
    oldest: float = 0.0
    counted_at: float = 0.0

    @property
    def oldest_now(self) -> float:
        """The age of the oldest mail in seconds: it also grows while the database does not say."""
        return self.oldest + time.monotonic() - self.counted_at if self.waiting else 0.0


class Notices:
    def __init__(self, *, is_configured: bool) -> None:
        self.is_configured = is_configured

    def ensure_configured(self) -> None:
        """Raise `MailNotConfigured` if nothing can be sent; asked before anything else is done."""
        if not self.is_configured:
            raise MailNotConfigured

    async def notify(
        self,
        tx: Transaction,
        kind: MailKind,
        user_id: UUID,
        rotated_from: Device = UNKNOWN_DEVICE,
        **details: int | FactorKind,
    ) -> None:
        """Tell the owner of an account what was done to it and from where, if the transaction is committed.

        `rotated_from` is where the session was rotated last whose spent token came now, for `REUSE_DETECTED`. Further
        `details` are what else the mail tells, or depends on.
        """
        if self.is_configured:
            rotated = {"rotated_device": rotated_from.user_agent, "rotated_address": rotated_from.ip}
            known = {name: value for name, value in rotated.items() if value is not None}
            await tx.outbox.add(kind, user_id, None, **requester_details(), **known, **details)

    async def warn(self, database: Database, kind: MailKind, user_id: UUID) -> None:
        """Tell the owner of what was refused, if the account and the database are there."""
        with suppress(DatabaseUnavailable):
            async with database.transaction() as tx:
                if await tx.users.hold(user_id):
                    await self.notify(tx, kind, user_id)

    async def recovery_code_used(self, tx: Transaction, user_id: UUID) -> None:
        """Tell trail and owner how many recovery codes are left: somebody else may have found them."""
        left = await tx.factors.count_recovery_codes(user_id)
        await tx.audit.add(SecurityEvent.RECOVERY_CODE_USED, user_id, left=left)
        await self.notify(tx, MailKind.RECOVERY_CODE_USED, user_id, codes_left=left)


def requester_details() -> dict[str, str]:
    """Where the request comes from, for the details of a notice."""
    requester = REQUESTER.get()
    return {"device": requester.user_agent or "", "address": requester.ip or ""}
