"""One account of a file becomes a row of `users`, or is refused with a reason that does not repeat what was read."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from auth_service.errors import Reason
from auth_service.identifiers import LONGEST_EMAIL, canonical_email, username_columns
from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import UNUSABLE
from auth_service.security.passwords.prepared_passwords import MissingSecretError
from auth_service.services.transfer import values
from auth_service.services.transfer.fields import Fields, LineFault, LineFaults, LineReason, RefusedLine
from auth_service.services.transfer.lines import Line

# An address of which the part before the @ is plain, as nearly all are. The longest has room to spare in every limit.
_PLAIN = re.compile(r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9.-]{1,100})")
_LONGEST_PLAIN = 64  # characters before the @
_TOO_LONG = f"Must have at most {LONGEST_EMAIL} characters."

# What an account that is there already is compared by, and the columns of that.
COMPARED = {"username": "username_canonical"} | {
    name: name for name in ("id", "role", "is_active", "is_verified", "created_at", "hashed_password")
}


@dataclass(frozen=True)
class ImportRow:
    """A row to be inserted, the line that it came from, what that line said of the account, and what was left out."""

    line: int
    values: dict[str, Any]
    stated: frozenset[str]
    without: frozenset[str] = frozenset()

    @property
    def id(self) -> UUID:
        found: UUID = self.values["id"]
        return found

    def compared(self) -> Iterator[tuple[str, Any]]:
        """What the line states of an account that might be there already, and would be in its columns."""
        return ((name, self.values[column]) for name, column in COMPARED.items() if name in self.stated)


def quick_canonical_email(email: str) -> str:
    """As `canonical_email`, in a tenth of the time for most addresses: it remembers what it said about a domain."""
    plain = _PLAIN.fullmatch(email)
    if plain is None or len(plain[1]) > _LONGEST_PLAIN:
        return canonical_email(email)
    return f"{plain[1].lower()}@{_canonical_domain(plain[2])}"


@lru_cache(maxsize=10_000)
def _canonical_domain(domain: str) -> str:
    return canonical_email(f"x@{domain}").partition("@")[2]


class RowMaker:
    """Makes rows, with the help of what reads the hashes of other systems (`Passwords.adopt`) and judges addresses.

    `resets_unknown_hashes` takes a hash that cannot be read for none, and `drops_bad_usernames` a name that cannot be
    one; without them, such a line is refused.
    """

    def __init__(
        self,
        adopt: Callable[[str], str],
        now: datetime,
        addresses: AddressPolicy,
        *,
        resets_unknown_hashes: bool = False,
        drops_bad_usernames: bool = False,
    ) -> None:
        self._adopt = adopt
        self._now = now
        self._addresses = addresses
        self._resets = resets_unknown_hashes
        self._drops = drops_bad_usernames

    def row(self, line: Line) -> ImportRow:
        """Return the row of a line; raises `RefusedLine` with all that is wrong with it."""
        faults = LineFaults(line.faults)
        if line.fields is None:
            faults.refuse()
        fields = line.fields or {}
        without: set[str] = set()
        row: dict[str, Any] = {}
        with faults:
            row["id"] = values.uuid(fields) or uuid7()
        self._add_names(row, fields, without, faults)
        with faults:
            row["hashed_password"] = self._hash(fields, without)
        with faults:
            row["role"] = values.role(fields)
        with faults:
            row["is_active"] = values.flag(fields, "is_active", default=True)
        with faults:
            row["is_verified"] = values.flag(fields, "is_verified", default=False)
        with faults:
            row["created_at"] = values.time(fields, self._now)
        faults.refuse()
        stated = frozenset(name for name, value in fields.items() if value is not None or name == "username")
        return ImportRow(line.number, row, stated, frozenset(without))

    def _add_names(self, row: dict[str, Any], fields: Fields, without: set[str], faults: LineFaults) -> None:
        with faults:
            email = values.string(fields, "email")
            if email is not None:
                row |= {"email": email.strip(), "email_canonical": self._accept(email)}
            elif not faults.blame("email"):
                raise RefusedLine(LineFault("email", Reason.REQUIRED, "Required."))
        other = len(faults.found)
        with faults:
            row |= username_columns(values.string(fields, "username"))
        if self._drops and len(faults.found) > other:
            del faults.found[other:]
            without.add("username")
            row |= username_columns(None)

    def _accept(self, email: str) -> str:
        if len(email) > LONGEST_EMAIL:  # which the library would take its time for
            raise RefusedLine(LineFault("email", Reason.TOO_LONG, _TOO_LONG, LONGEST_EMAIL))
        canonical = quick_canonical_email(email)
        self._addresses.check(canonical)
        return canonical

    def _hash(self, fields: Fields, without: set[str]) -> str:
        try:
            hashed = values.string(fields, "hashed_password")
            return UNUSABLE if hashed is None else self._adopt(hashed)
        except MissingSecretError as error:  # which is not the hash's fault, and may be had
            raise RefusedLine(LineFault("hashed_password", LineReason.MISSING_SETTING, str(error))) from None
        except RefusedLine:
            if not self._resets:
                raise
        except ValueError as error:
            if not self._resets:
                raise RefusedLine(LineFault("hashed_password", LineReason.UNUSABLE_HASH, str(error))) from None
        without.add("hashed_password")
        return UNUSABLE
