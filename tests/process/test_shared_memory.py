"""Memory that processes share: what is read is whole, and a slot passes on to whoever comes next."""

import fcntl
import json
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event

import pytest

from auth_service.shared_memory import ENDED, SharedMemory

SPAWN = multiprocessing.get_context("spawn")
LENGTH = 200_000


def write_without_end(memory: SharedMemory, begun: Event) -> None:
    """Write ever new contents, each made of one number."""
    slot = memory.take_slot()
    assert slot
    for number in range(10_000_000):
        slot.write(json.dumps([number % 10] * LENGTH).encode())
        begun.set()


def hold_all_slots(memory: SharedMemory, begun: Event) -> None:
    fcntl.lockf(memory._file, fcntl.LOCK_EX)
    begun.set()
    signal.pause()


def started(what: Callable[[SharedMemory, Event], None], memory: SharedMemory) -> SpawnProcess:
    begun = SPAWN.Event()
    process = SPAWN.Process(target=what, args=(memory, begun), daemon=True)
    process.start()
    assert begun.wait(30)
    return process


def contents(memory: SharedMemory) -> list[list[int]]:
    return [json.loads(copy.content) for _, copy in memory.read()]


def test_what_is_read_while_it_is_written_and_what_a_killed_process_leaves_is_whole() -> None:
    memory = SharedMemory.create(1)
    process = started(write_without_end, memory)
    try:
        for _ in range(100):
            (numbers,) = contents(memory)
            assert len(numbers) == LENGTH
            assert len(set(numbers)) == 1
    finally:
        process.kill()
        process.join()
    left = contents(memory)
    slot = memory.take_slot()
    assert slot
    assert [json.loads(slot.found or b"")] == left


def test_two_processes_have_two_slots_and_what_one_leaves_is_found_by_the_next() -> None:
    memory = SharedMemory.create(2)
    first, second = started(write_without_end, memory), started(write_without_end, memory)
    try:
        assert [index for index, _ in memory.read()] == [0, 1]
        first.kill()
        first.join()
        slot = memory.take_slot()
        assert slot
        assert (slot.index, slot.found is not None) == (0, True)
        slot.write(b"mine")
        slot.write(b"mine again", has_ended=True)
        assert dict(memory.read())[0].content == b"mine again"
        assert dict(memory.read())[0].written_at == ENDED
    finally:
        for process in (first, second):
            process.kill()
            process.join()


def test_with_no_slot_left_there_is_none_and_nothing_fails() -> None:
    memory = SharedMemory.create(1)
    process = started(hold_all_slots, memory)
    try:
        assert memory.take_slot() is None
    finally:
        process.kill()
        process.join()
    assert memory.take_slot()


def test_what_does_not_fit_is_refused_and_what_was_there_stays() -> None:
    memory = SharedMemory.create(1)
    slot = memory.take_slot()
    assert slot
    slot.write(b"before")
    with pytest.raises(ValueError, match="do not fit"):
        slot.write(b"x" * 2**20)
    assert [copy.content for _, copy in memory.read()] == [b"before"]


def test_a_copy_that_was_cut_off_is_passed_over_for_the_one_before() -> None:
    memory = SharedMemory.create(1)
    slot = memory.take_slot()
    assert slot
    slot.write(b"the first one")
    slot.write(b"another one")
    where = memory._map.find(b"another one")
    memory._map[where : where + 7] = b"\0" * 7
    assert [copy.content for _, copy in memory.read()] == [b"the first one"]
    slot.write(b"the next one")
    assert [copy.content for _, copy in memory.read()] == [b"the next one"]
