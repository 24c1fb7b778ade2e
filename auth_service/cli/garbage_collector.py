"""The garbage collector, at rest while a start imports: it would look through all that comes in, and find nothing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Import in this block: what it makes stays for good, and the collector looks at none of it, now or later.

    The classes and functions of the libraries are some hundred thousand objects. To go through them again and again
    while they come in is a seventh of the CPU time of a start, and each full collection of a server would do it again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
