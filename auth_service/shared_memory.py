"""Memory that the workers of one `serve` share: each writes into a slot of its own what all of them may read.

Nobody is asked and nobody is waited for, so a worker that hangs or has died holds nobody up, and what it wrote stays.
The memory is a file without a name, which needs no folder. Who holds a slot has a lock on its first byte, which the
kernel takes back when a process ends, however it ends.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from multiprocessing.reduction import DupFd
from typing import Any, NamedTuple

COPY_BYTES = 1024 * 1024  # of a slot's two copies; memory is taken only for what is written
SLOT_BYTES = 2 * COPY_BYTES
SPARE_SLOTS = 4  # for workers that `SIGTTIN` adds
ENDED = float("-inf")
_HEAD = struct.Struct("@QdQQ")  # the copy's number, when it was written, the length of its content, and its checksum


class Copy(NamedTuple):
    """What was written into a slot, and when, by `time.monotonic()`; `ENDED` if its worker has gone for good."""

    number: int
    written_at: float
    content: bytes


class SharedMemory:
    """Made before the workers are, and handed to each of them, and to whoever replaces one."""

    def __init__(self, file: int, workers: int) -> None:
        self._file = file
        self.workers = workers
        self._slots = workers + SPARE_SLOTS
        self._memory: mmap.mmap | None = None

    @classmethod
    def create(cls, workers: int) -> "SharedMemory":
        """Return new memory for so many workers."""
        file = _nameless_file()
        memory = cls(file, workers)
        os.ftruncate(file, memory._slots * SLOT_BYTES)
        return memory

    def __reduce__(self) -> tuple[Callable[..., "SharedMemory"], tuple[Any, int]]:
        """Be the same memory in a process that is being started."""
        return _attach, (DupFd(self._file), self.workers)

    def take_slot(self) -> "Slot | None":
        """Hold a slot until this process ends; None if there is none left."""
        for index in range(self._slots):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index * SLOT_BYTES)
            except OSError:  # another process holds it
                continue
            return Slot(self, index)
        return None

    def read(self) -> Iterator[tuple[int, Copy]]:
        """Each slot that was ever written, by its index."""
        for index in range(self._slots):
            found = [copy for half in (0, 1) if (copy := self._read(index, half))]
            if found:
                yield index, max(found, key=lambda copy: copy.number)

    def write(self, index: int, copy: Copy) -> None:
        """Write the older one of a slot's two copies: the other one is whole, whenever somebody reads or we die."""
        at = self._address(index, copy.number % 2)
        content = copy.content
        if len(content) > COPY_BYTES - _HEAD.size:
            raise ValueError(f"{len(content)} bytes do not fit into a slot")
        self._map[at + _HEAD.size : at + _HEAD.size + len(content)] = content
        self._map[at : at + _HEAD.size] = _HEAD.pack(
            copy.number, copy.written_at, len(content), _checksum(copy.number, content)
        )

    def _read(self, index: int, half: int) -> Copy | None:
        at = self._address(index, half)
        number, written_at, length, checksum = _HEAD.unpack_from(self._map, at)
        if not number or length > COPY_BYTES - _HEAD.size:
            return None
        content = self._map[at + _HEAD.size : at + _HEAD.size + length]
        return Copy(number, written_at, content) if checksum == _checksum(number, content) else None

    @staticmethod
    def _address(index: int, half: int) -> int:
        return index * SLOT_BYTES + half * COPY_BYTES

    @property
    def _map(self) -> mmap.mmap:
        """Mapped in the processes that use it, and for as long as they live: to unmap it would lose the locks."""
        if self._memory is None:
            self._memory = mmap.mmap(self._file, self._slots * SLOT_BYTES)
        return self._memory


class Slot:
    """The slot of this process. `found` is what a process wrote there that held it before, or None."""

    def __init__(self, memory: SharedMemory, index: int) -> None:
        self.memory = memory
        self.index = index
        before = dict(memory.read()).get(index)
        self.found = before.content if before else None
        self._number = before.number if before else 0

    def write(self, content: bytes, *, has_ended: bool = False) -> None:
        self._number += 1
        self.memory.write(self.index, Copy(self._number, ENDED if has_ended else time.monotonic(), content))


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("auth-service")
    with tempfile.TemporaryFile() as file:  # where the system has no memory of that kind
        return os.dup(file.fileno())


def _attach(duplicate: Any, workers: int) -> SharedMemory:
    return SharedMemory(duplicate.detach(), workers)


def _checksum(number: int, content: bytes) -> int:
    return zlib.crc32(content, number & 0xFFFFFFFF)
