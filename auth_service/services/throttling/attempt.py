"""An attempt while it is under way, and what its success writes."""

from collections.abc import Sequence
from dataclasses import replace

from auth_service.models import Tally, Whom
from auth_service.repositories.throttles.throttles import Block, Success
from auth_service.repositories.transaction import Transaction


class Attempt:
    """An attempt that was let in, and the counts that it is on. `closed` are those that its failure closed."""

    def __init__(self, tallies: Sequence[Tally] = (), known: Sequence[Tally] = ()) -> None:
        self.tallies = tallies
        self.decided = False
        self.closed: Sequence[Block] = ()
        self._known = known

    @property
    def is_counted(self) -> bool:
        """Whether anything is to be noted of it."""
        return bool(self.tallies or self._known)

    @property
    def success(self) -> Success | None:
        """What notes that it was right; None if nothing is to be noted."""
        return Success.of(self.tallies, self._known) if self.is_counted else None

    @property
    def success_in_part(self) -> Success | None:
        """The same for a step that others must follow: only the last one makes the network known."""
        tallies = [replace(tally, whom=Whom.ANYBODY) for tally in self.tallies]
        return Success.of(tallies) if tallies else None

    async def succeed(self, tx: Transaction) -> None:
        """Note that it was right, with a statement of a transaction that is open anyway."""
        if success := self.success:
            await tx.throttles.succeed(success)
        self.decided = True
