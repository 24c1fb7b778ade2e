"""Mail from the use cases' side: whether there is any, and the notices that are written if there is."""

from dataclasses import dataclass
from uuid import UUID

from auth_service.errors import MailNotConfigured
from auth_service.models import REQUESTER, MailKind
from auth_service.repositories.transaction import Transaction


@dataclass
class MailNumbers:
    """What this process did with mail, and what it last saw waiting; `oldest` is in seconds."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0
    waiting: int = 0
    oldest: float = 0.0


class Notices:
    def __init__(self, *, is_configured: bool) -> None:
        self.is_configured = is_configured

    def ensure_configured(self) -> None:
        """Raise `MailNotConfigured` if nothing can be sent; asked before anything else is done."""
        if not self.is_configured:
            raise MailNotConfigured

    async def notify(self, tx: Transaction, kind: MailKind, user_id: UUID) -> None:
        """Tell the owner of an account what was done to it and from where, if the transaction is committed."""
        if self.is_configured:
            await tx.outbox.add(kind, user_id, **requester_details())


def requester_details() -> dict[str, str]:
    """Where the request comes from, for the details of a notice."""
    requester = REQUESTER.get()
    return {"device": requester.user_agent or "", "address": requester.ip or ""}
