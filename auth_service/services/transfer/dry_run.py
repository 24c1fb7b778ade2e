"""A dry run: what an import would do, told by the same statements, which are rolled back.

So the lines of earlier batches are not in the database when a later one is judged. They are remembered here, as
digests: about 300 bytes for a line.
"""

import struct
from collections.abc import Sequence
from typing import Any

from auth_service.errors import InvalidInput
from auth_service.identifiers import canonical_email, canonical_username
from auth_service.models import UNUSABLE
from auth_service.security.passwords.hashing import Passwords
from auth_service.services.transfer.outcome import Outcome
from auth_service.services.transfer.rows import COMPARED, ImportRow

_DIGESTS = struct.Struct(f"{len(COMPARED)}q")


class SignInTrial:
    """One sign-in, tried against the line of the account instead of the database."""

    def __init__(self, passwords: Passwords, name: str, password: str) -> None:
        self._passwords = passwords
        self._password = password
        self._name = _canonical(name)
        self._row: ImportRow | None = None

    def look_at(self, row: ImportRow) -> None:
        """Keep the first row with the name."""
        if self._row is None and self._name in (row.values["email_canonical"], row.values["username_canonical"]):
            self._row = row

    def verdict(self) -> tuple[bool, str]:
        """Return whether the password signs in, and a sentence that says so or why not; hashes in this thread."""
        if self._row is None:
            return False, "no line that can be imported has this e-mail address or username"
        hashed, at = self._row.values["hashed_password"], f"line {self._row.line}: "
        if hashed == UNUSABLE:
            return False, f"{at}the account has no password: its owner must reset it"
        if not self._passwords.verify(self._password, hashed)[0]:
            recipe = self._passwords.recipe(hashed)
            return False, f"{at}the password does not fit the hash ({recipe}), or the hash was made in another way"
        if not self._row.values["is_active"]:
            return False, f"{at}the password is right, but the account is disabled"
        return True, f"{at}the password is right"


class DryRun:
    def __init__(self, trial: SignInTrial | None = None) -> None:
        self._trial = trial
        self._accounts: dict[int, bytes] = {}
        self._names: set[int] = set()
        self._skeletons: dict[int, bool] = {}
        self._ids: set[int] = set()

    def unknown(self, rows: Sequence[ImportRow], outcome: Outcome) -> Sequence[ImportRow]:
        """Return the rows of which no earlier batch knows; the others are judged."""
        found = []
        for row in rows:
            if self._trial:
                self._trial.look_at(row)
            digests = self._accounts.get(hash(row.values["email_canonical"]))
            name = row.values["username_canonical"]
            taken = {"id": hash(row.id) in self._ids, "username": hash(name) in self._names}
            if digests is not None:
                outcome.judge(row, _differences(row, digests), taken)
            elif any(taken.values()) or self._looks_alike(row):
                outcome.judge(row, None, taken)
            else:
                found.append(row)
        return found

    def _looks_alike(self, row: ImportRow) -> bool:
        """Whether the name looks like one of an earlier batch, and either has a letter outside ASCII."""
        of_ascii = self._skeletons.get(hash(row.values["username_skeleton"]))
        return of_ascii is not None and not (of_ascii and row.values["username"].isascii())

    def remember(self, rows: Sequence[ImportRow]) -> None:
        """Remember rows that an import would have added."""
        for row in rows:
            values = row.values
            self._accounts[hash(values["email_canonical"])] = _digests(row)
            if values["username_canonical"] is not None:
                self._names.add(hash(values["username_canonical"]))
                self._skeletons[hash(values["username_skeleton"])] = values["username"].isascii()
            if "id" in row.stated:
                self._ids.add(hash(row.id))


def _digests(row: ImportRow) -> bytes:
    return _DIGESTS.pack(*(hash(row.values[column]) for column in COMPARED.values()))


def _differences(row: ImportRow, digests: bytes) -> list[str]:
    digest_of: dict[str, Any] = dict(zip(COMPARED, _DIGESTS.unpack(digests), strict=True))
    return [name for name, value in row.compared() if hash(value) != digest_of[name]]


def _canonical(name: str) -> str:
    try:
        return canonical_email(name) if "@" in name else canonical_username(name)
    except InvalidInput:
        return name
