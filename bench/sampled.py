"""The service with a sampler of its own stack, by CPU time, between two SIGUSR1: `python -m bench.sampled FILE serve`.

The second signal writes the stacks to the file, as a JSON object of how often each was seen.
"""

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from auth_service.cli import main

INTERVAL = 0.002  # CPU seconds


class Sampler:
    """Counts the stacks of the main thread. Neither waiting nor what else runs on the machine is seen.

    What other threads use (they hash) is counted as well, and stands where the main thread happens to be.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stacks: Counter[str] = Counter()
        self._on = False
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._turn)

    def _turn(self, _signal: int, _frame: FrameType | None) -> None:
        self._on = not self._on
        signal.setitimer(signal.ITIMER_PROF, *((INTERVAL, INTERVAL) if self._on else (0.0, 0.0)))
        if not self._on:
            unfinished = self._file.with_suffix(".new")
            unfinished.write_text(json.dumps(self._stacks))
            unfinished.rename(self._file)

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        self._stacks[";".join(_names(frame))] += 1


def _names(frame: FrameType | None) -> Iterator[str]:
    """The functions from the innermost out."""
    while frame is not None:
        code = frame.f_code
        yield f"{code.co_qualname} ({'/'.join(code.co_filename.rsplit('/', 2)[-2:])})"
        frame = frame.f_back


if __name__ == "__main__":
    Sampler(Path(sys.argv.pop(1)))
    main()
