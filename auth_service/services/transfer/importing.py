"""Accounts of another system come in, a batch to a transaction; what is there already stays as it is."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from auth_service.models import SecurityEvent, User
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.services.transfer.dry_run import DryRun
from auth_service.services.transfer.fields import LineFault, LineReason, RefusedLine
from auth_service.services.transfer.lines import Line
from auth_service.services.transfer.outcome import ImportReport, Outcome
from auth_service.services.transfer.rows import COMPARED, ImportRow, RowMaker

BATCH_BUDGET = timedelta(minutes=5)  # for one batch, on a machine that is busy with other things


@dataclass(frozen=True)
class _Batch:
    """Rows for one transaction, and the lines among them that gave none."""

    rows: Sequence[ImportRow]
    refused: Sequence[tuple[int, RefusedLine]]
    through_line: int


class Importer:
    """One run, or one that writes nothing if there is a `dry_run`.

    No connection is held, and none is needed, while a batch is read; the next is read meanwhile.
    """

    def __init__(self, database: Database, maker: RowMaker, batch_size: int, dry_run: DryRun | None = None) -> None:
        self._database = database
        self._maker = maker
        self._batch_size = batch_size
        self._dry_run = dry_run
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
                rows.append(self._maker.row(line))
            except RefusedLine as error:
                refused.append((line.number, error))
        return _Batch(rows, refused, line.number) if line else None

    @retried
    async def _store(self, batch: _Batch) -> Outcome:
        """One transaction: the rows that are new, and one event for all of them."""
        outcome = Outcome(batch.through_line, list(batch.refused))
        rows = self._dry_run.unknown(batch.rows, outcome) if self._dry_run else batch.rows
        async with self._database.transaction(BATCH_BUDGET) as tx:
            await tx.allow_slow_statements(BATCH_BUDGET)
            added, faults = await tx.user_imports.add([row.values for row in rows])
            outcome.added = [rows[place] for place in sorted(added)]
            for place, reason in faults.items():
                told = LineFault(None, LineReason.BY_DATABASE, f"Refused by the database ({reason}).")
                outcome.refuse(rows[place], told)
            known = [row for place, row in enumerate(rows) if place not in added and place not in faults]
            await _judge(tx, known, outcome)
            if self._dry_run:
                await tx.session.rollback()
            elif added:
                await _note(tx, outcome)
        return outcome

    def _count(self, outcome: Outcome, refuse: Callable[[int, RefusedLine], None]) -> None:
        self.report.add(outcome)
        if self._dry_run:
            self._dry_run.remember(outcome.added)
        for number, reason in sorted(outcome.refused, key=lambda refusal: refusal[0]):
            refuse(number, reason)


async def _note(tx: Transaction, outcome: Outcome) -> None:
    """One event for each of a million accounts would be more than the accounts. Ids of our own sort by time."""
    ids = [row.id for row in outcome.added if "id" not in row.stated]
    told: dict[str, Any] = {"first_id": str(min(ids)), "last_id": str(max(ids))} if ids else {}
    accounts = len(outcome.added)
    await tx.audit.add(SecurityEvent.ACCOUNTS_IMPORTED, accounts=accounts, through_line=outcome.through_line, **told)


async def _judge(tx: Transaction, rows: Sequence[ImportRow], outcome: Outcome) -> None:
    """Tell those of the rows that are not new: there already, or in conflict with an account, or an earlier line."""
    if not rows:
        return
    emails = [row.values["email_canonical"] for row in rows]
    names = [row.values["username_canonical"] for row in rows if row.values["username_canonical"]]
    taken = await tx.user_imports.find_taken(emails, names, [row.id for row in rows if "id" in row.stated])
    by_email = {user.email_canonical: user for user in taken}
    ids, usernames = {user.id for user in taken}, {user.username_canonical for user in taken} - {None}
    for row in rows:
        user = by_email.get(row.values["email_canonical"])
        is_taken = {"id": row.id in ids, "username": row.values["username_canonical"] in usernames}
        outcome.judge(row, _differences(row, user) if user else None, is_taken)


def _differences(row: ImportRow, user: User) -> list[str]:
    """What the line states, and the account has otherwise. A password is its owner's from the first sign-in on."""
    used = user.last_login_at is not None or user.credential_epoch > 0
    stated = [(name, value) for name, value in row.compared() if not (used and name == "hashed_password")]
    return [name for name, value in stated if getattr(user, COMPARED[name]) != value]
