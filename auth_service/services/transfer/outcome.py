"""What became of the lines of an import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auth_service.services.transfer.fields import LineFault, LineReason, RefusedLine
from auth_service.services.transfer.rows import ImportRow

_TAKEN = "Used by another account or an earlier line."
_LOOKS_TAKEN = "Looks like the username of another account or an earlier line."
_DIFFERENT = "An account or an earlier line with this address has another one."


@dataclass
class ImportReport:
    """How many lines came in, were there already, and were refused; `through_line` is the last that is decided.

    Of those that came in, `hashes_reset` have no password, because the one given could not be read, and
    `usernames_dropped` no username.
    """

    imported: int = 0
    already_there: int = 0
    refused: int = 0
    hashes_reset: int = 0
    usernames_dropped: int = 0
    through_line: int = 0
    seconds: float = 0.0

    def add(self, outcome: "Outcome") -> None:
        """Count a batch."""
        self.imported += len(outcome.added)
        self.hashes_reset += sum("hashed_password" in row.without for row in outcome.added)
        self.usernames_dropped += sum("username" in row.without for row in outcome.added)
        self.already_there += outcome.already_there
        self.refused += len(outcome.refused)
        self.through_line = outcome.through_line


@dataclass
class Outcome:
    """Of one batch: the rows that are new, how many are there already, and the lines that are refused."""

    through_line: int
    refused: list[tuple[int, RefusedLine]]
    added: Sequence[ImportRow] = ()
    already_there: int = 0

    def refuse(self, row: ImportRow, *faults: LineFault) -> None:
        """Note a row that cannot come in."""
        self.refused.append((row.line, RefusedLine(*faults)))

    def judge(self, row: ImportRow, different: Sequence[str] | None, taken: Mapping[str, bool]) -> None:
        """Note a row that is not new: in what it differs from the account with its address, or, if there is none,
        which of its fields are taken; if none is, the username looks like another's.
        """
        if different is None:
            faults = [LineFault(name, LineReason.TAKEN, _TAKEN) for name, is_taken in taken.items() if is_taken]
            self.refuse(row, *(faults or [LineFault("username", LineReason.TAKEN, _LOOKS_TAKEN)]))
        elif different:
            self.refuse(row, *(LineFault(name, LineReason.DIFFERENT, _DIFFERENT) for name in different))
        else:
            self.already_there += 1
