"""Accounts go out, in the form that an import reads."""

from collections.abc import AsyncIterator, Collection
from datetime import UTC
from typing import Any

from auth_service.models import UNUSABLE, SecurityEvent
from auth_service.repositories.database import Database
from auth_service.services.transfer.fields import FIELDS

PAGE = 5000  # rows to a statement


class Exporter:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def export_accounts(self, names: Collection[str]) -> AsyncIterator[dict[str, Any]]:
        """Note in the trail that all accounts are read, and yield these fields of each in the order of their ids.

        No connection is held between two pages: who registers or changes meanwhile may be seen or not.
        """
        with_hashes, after = "hashed_password" in names, None
        async with self._database.statement() as tx:
            await tx.audit.add(SecurityEvent.ACCOUNTS_EXPORTED, with_hashes=str(with_hashes).lower())
        while True:
            async with self._database.statement() as tx:
                page = await tx.user_imports.page(after, PAGE)
            for row in page:
                yield {name: self._told(name, getattr(row, name)) for name in names}
            if len(page) < PAGE:
                return
            after = page[-1].id

    def _told(self, name: str, value: Any) -> Any:
        if name == "created_at":
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if name == "id":
            return str(value)
        return None if name == "hashed_password" and value == UNUSABLE else value


def exported_fields(*, with_ids: bool, with_hashes: bool) -> tuple[str, ...]:
    """The fields of an export, in order."""
    left_out = {"id": not with_ids, "hashed_password": not with_hashes}
    return tuple(name for name in FIELDS if not left_out.get(name))
