"""Which kinds of password hashes accounts have, and when those that are outdated will be gone."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from auth_service.models import UNUSABLE
from auth_service.repositories.database import Database
from auth_service.security.passwords.hashing import Passwords

BUDGET = timedelta(minutes=5)
WINDOW = timedelta(days=28)
TOO_SHORT = timedelta(days=1)
NEVER = timedelta(days=36525)  # in a hundred years


@dataclass
class HashKind:
    """Accounts whose hashes have one scheme and the same parameters.

    `state` is `current`, `outdated` (renewed at the next sign-in), `none` (no password) or `unreadable`.
    """

    recipe: str
    state: str
    accounts: int = 0
    signed_in: int = 0


@dataclass(frozen=True)
class Forecast:
    """How many hashes are `outdated`, how many were `renewed` in so many `days`, and what that comes to, if it goes on.

    The model: day after day the same share of the owners who are left signs in. `half_at` and `last_at` are None if the
    days are too few to tell, or if it would take a hundred years; `verdict` says which.
    """

    outdated: int
    renewed: int
    days: float
    verdict: str
    half_at: datetime | None = None
    last_at: datetime | None = None


class StoredHashes:
    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def report(self) -> tuple[Sequence[HashKind], Forecast]:
        """Return the kinds, the most frequent first, and the forecast."""
        async with self._database.transaction(BUDGET) as tx:
            await tx.allow_slow_statements(BUDGET)
            now, imported_at = await tx.stored_hashes.last_import()
            since = max(now - WINDOW, imported_at or now - WINDOW)
            renewed = await tx.stored_hashes.renewed_since(since)
            found = await tx.stored_hashes.kinds()
        kinds: defaultdict[tuple[str, str], HashKind] = defaultdict()
        for example, accounts, signed_in in found:
            name = self._name(example)
            kind = kinds.setdefault(name, HashKind(*name))
            kind.accounts += accounts
            kind.signed_in += signed_in
        outdated = sum(kind.accounts for kind in kinds.values() if kind.state == "outdated")
        in_order = sorted(kinds.values(), key=lambda kind: (-kind.accounts, kind.recipe))
        return in_order, forecast(outdated, renewed, since, now)

    def _name(self, hashed: str) -> tuple[str, str]:
        if hashed == UNUSABLE:
            return "no password", "none"
        try:
            self._passwords.adopt(hashed)
        except ValueError:
            return "unreadable", "unreadable"
        return self._passwords.recipe(hashed), "outdated" if self._passwords.is_outdated(hashed) else "current"


def forecast(outdated: int, renewed: int, since: datetime, now: datetime) -> Forecast:
    """Tell when less than one outdated hash is expected to be left, from what was renewed `since` then."""
    elapsed = now - since
    known = (outdated, renewed, round(elapsed / timedelta(days=1), 2))
    if not outdated:
        return Forecast(*known, "none is left")
    if elapsed < TOO_SHORT:
        return Forecast(*known, "too early to tell: the last import is less than a day old")
    if not renewed:
        return Forecast(*known, "never at this rate")
    rate = math.log(1 + renewed / outdated)  # what is left falls by the factor e in elapsed / rate
    half, last = (math.log(factor) / rate for factor in (2, max(2, outdated)))
    if last > NEVER / elapsed:
        return Forecast(*known, "never at this rate")
    return Forecast(*known, "at this rate", now + half * elapsed, now + last * elapsed)
