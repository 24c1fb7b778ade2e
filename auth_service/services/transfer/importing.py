"""Accounts of another system come in, a batch to a transaction; what is there already stays as it is."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any

from auth_service.models import SecurityEvent, User
from auth_service.repositories.transaction import Database, Transaction, retried
from auth_service.services.transfer.lines import Line, RefusedLine
from auth_service.services.transfer.rows import ImportRow, RowMaker

BATCH_BUDGET = timedelta(minutes=5)  # for one batch, on a machine that is busy with other things
COMPARED = ("username", "role", "is_active", "is_verified", "created_at", "hashed_password")


@dataclass
class ImportReport:
    """How many lines came in, were there already, and were refused; `through_line` is the last that is decided."""

    imported: int = 0
    already_there: int = 0
    refused: int = 0
    through_line: int = 0
    seconds: float = 0.0


@dataclass
class _Outcome:
    through_line: int
    imported: int
    already_there: int = 0
    refused: list[tuple[int, RefusedLine]] = field(default_factory=list)


@dataclass(frozen=True)
class _Batch:
    """Rows for one transaction, and the lines among them that gave none."""

    rows: Sequence[ImportRow]
    refused: Sequence[tuple[int, RefusedLine]]
    through_line: int


class Importer:
    """One run. No connection is held, and none is needed, while a batch is read; the next is read meanwhile."""

    def __init__(self, database: Database, maker: RowMaker, batch_size: int) -> None:
        self._database = database
        self._maker = maker
        self._batch_size = batch_size
        self.report = ImportReport()

    async def import_lines(
        self, lines: Iterable[Line], refuse: Callable[[int, RefusedLine], None], advance: Callable[[], None]
    ) -> None:
        """Import every line. `refuse` is told of each that cannot be, in order, `advance` of the end of each batch.

        Raises:
            DatabaseUnavailable: the batch at hand is not in, and `report` says which ones are.
        """
        started, source = time.monotonic(), iter(lines)
        batch = await asyncio.to_thread(self._read, source)
        while batch:
            following = asyncio.create_task(asyncio.to_thread(self._read, source))
            try:
                outcome = await self._store(batch)
            finally:
                batch = await following
            self._count(outcome, refuse)
            self.report.seconds = round(time.monotonic() - started, 3)
            advance()

    def _read(self, source: Iterator[Line]) -> _Batch | None:
        rows: list[ImportRow] = []
        refused: list[tuple[int, RefusedLine]] = []
        line = None
        for line in islice(source, self._batch_size):
            try:
                if isinstance(line.content, RefusedLine):
                    raise line.content
                rows.append(self._maker.row(line.number, line.content))
            except RefusedLine as reason:
                refused.append((line.number, reason))
        return _Batch(rows, refused, line.number) if line else None

    @retried
    async def _store(self, batch: _Batch) -> _Outcome:
        """One transaction: the rows that are new, and one event for all of them."""
        async with self._database.transaction(BATCH_BUDGET) as tx:
            await tx.allow_slow_statements(BATCH_BUDGET)
            added, faults = await tx.user_imports.add([row.values for row in batch.rows])
            outcome = _Outcome(batch.through_line, len(added), refused=list(batch.refused))
            for row in batch.rows:
                if row.id in faults:
                    outcome.refused.append((row.line, RefusedLine(f"Refused by the database ({faults[row.id]}).")))
            await _judge(tx, [row for row in batch.rows if row.id not in added and row.id not in faults], outcome)
            if added:
                # One event for each of a million accounts would be more than the accounts. Ids sort by time.
                ids: dict[str, Any] = {"first_id": str(min(added)), "last_id": str(max(added))}
                await tx.audit.add(
                    SecurityEvent.ACCOUNTS_IMPORTED, accounts=len(added), through_line=batch.through_line, **ids
                )
        return outcome

    def _count(self, outcome: _Outcome, refuse: Callable[[int, RefusedLine], None]) -> None:
        report = self.report
        report.imported += outcome.imported
        report.already_there += outcome.already_there
        report.refused += len(outcome.refused)
        report.through_line = outcome.through_line
        for number, reason in sorted(outcome.refused, key=lambda refusal: refusal[0]):
            refuse(number, reason)


async def _judge(tx: Transaction, rows: Sequence[ImportRow], outcome: _Outcome) -> None:
    """Tell those of the rows that are not new: there already, or in conflict with an account, or an earlier line."""
    emails = [row.values["email_canonical"] for row in rows]
    names = [row.values["username_canonical"] for row in rows if row.values["username_canonical"]]
    taken = await tx.user_imports.find_taken(emails, names) if rows else ()
    by_email = {user.email_canonical: user for user in taken}
    for row in rows:
        user = by_email.get(row.values["email_canonical"])
        if user is None:
            outcome.refused.append((row.line, RefusedLine("Used by another account or an earlier line.", "username")))
        elif different := _differences(row, user):
            reason = f"An account or an earlier line with this address has a different {', '.join(different)}."
            outcome.refused.append((row.line, RefusedLine(reason, "email")))
        else:
            outcome.already_there += 1


def _differences(row: ImportRow, user: User) -> list[str]:
    """What the line states, and the account has otherwise. A password is its owner's from the first sign-in on."""
    used = user.last_login_at is not None or user.credential_epoch > 0
    compared = [name for name in COMPARED if name in row.stated and not (used and name == "hashed_password")]
    columns = {"username": "username_canonical"}
    return [name for name in compared if row.values[columns.get(name, name)] != getattr(user, columns.get(name, name))]
