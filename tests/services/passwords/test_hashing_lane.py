"""The lane by itself: who is let in, who is refused at once, and whose place becomes free."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from auth_service.errors import HashingOverloaded
from auth_service.services.passwords.hashing_lane import REMEMBERED, HashingLane, client_disconnect
from auth_service.settings import HashingSettings
from tests.support.polling import eventually

BUDGET = 0.2  # seconds
FOR_EVER = 30.0


class Work:
    """A hash that takes until the test says so."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.end = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.end.wait(FOR_EVER)
        return "hashed"

    async def occupy(self, lane: HashingLane) -> "asyncio.Task[str]":
        running = asyncio.create_task(lane.run(self))
        assert await asyncio.to_thread(self.begun.wait, FOR_EVER)
        return running


@contextlib.contextmanager
def opened(work: Work, *, queue: int = 10, deadline: float = BUDGET, threads: int = 1) -> Iterator[HashingLane]:
    lane = HashingLane(HashingSettings(queue=queue, deadline=deadline), threads)
    try:
        yield lane
    finally:
        work.end.set()
        lane.close()


async def learn(lane: HashingLane, seconds: float, times: int = 1) -> None:
    """Let hashes take so long."""
    for _ in range(times):
        await lane.run(lambda: time.sleep(seconds))


async def test_who_could_not_be_answered_in_time_is_refused_without_waiting() -> None:
    work = Work()
    with opened(work, deadline=2) as lane:
        await learn(lane, 2.1)
        running = await work.occupy(lane)
        assert lane.waiting == 0
        with pytest.raises(HashingOverloaded):
            lane.ensure_room()  # not a coroutine: it cannot have waited
        with pytest.raises(HashingOverloaded):
            await asyncio.wait_for(lane.run(work), 1)  # less than the deadline
        assert lane.shed == 2
        work.end.set()
        assert await running == "hashed"


async def test_retry_after_is_the_time_that_the_waiting_work_takes() -> None:
    work = Work()
    with opened(work, deadline=FOR_EVER, queue=4) as lane:
        await learn(lane, 0.6)
        tasks = [await work.occupy(lane), *(asyncio.create_task(lane.run(work)) for _ in range(4))]
        await eventually(has_waiting, lane, 4)
        with pytest.raises(HashingOverloaded) as refused:
            lane.ensure_room()
        assert refused.value.retry_after >= 3, "four hashes of 0.6 s wait for one thread"
        work.end.set()
        await asyncio.gather(*tasks)


async def test_a_free_thread_means_room_however_long_the_last_hash_took() -> None:
    work = Work()
    with opened(work, threads=2) as lane:
        await learn(lane, BUDGET * 2)
        running = await work.occupy(lane)
        lane.ensure_room()
        assert await lane.run(lambda: "hashed") == "hashed"
        work.end.set()
        await running


async def test_one_hash_that_stood_still_with_the_machine_closes_the_queue_to_nobody() -> None:
    work = Work()
    with opened(work, deadline=2) as lane:
        await learn(lane, 0, times=REMEMBERED // 2 + 1)
        await learn(lane, 2.1)
        running = await work.occupy(lane)
        lane.ensure_room()
        work.end.set()
        await running


async def test_who_was_let_in_by_too_good_an_estimate_waits_no_longer_than_the_deadline() -> None:
    work = Work()
    with opened(work) as lane:
        running = await work.occupy(lane)
        with pytest.raises(HashingOverloaded):
            await asyncio.wait_for(lane.run(work), FOR_EVER)
        assert lane.waiting == 0
        work.end.set()
        await running


async def test_who_gives_up_leaves_their_place_to_others() -> None:
    work = Work()
    with opened(work, queue=1, deadline=FOR_EVER) as lane:
        running = await work.occupy(lane)
        waiter = asyncio.create_task(lane.run(work))
        await eventually(has_waiting, lane, 1)
        with pytest.raises(HashingOverloaded):
            lane.ensure_room()
        waiter.cancel()
        await asyncio.wait({waiter})
        lane.ensure_room()
        work.end.set()
        await running


async def test_who_is_not_there_to_be_answered_any_more_leaves_their_place_to_others() -> None:
    work, hung_up = Work(), asyncio.Event()

    async def wait_and_end() -> NoReturn:
        await hung_up.wait()
        raise ConnectionResetError

    with opened(work, queue=1, deadline=FOR_EVER) as lane:
        running = await work.occupy(lane)
        client_disconnect.set(wait_and_end)
        waiter = asyncio.create_task(lane.run(work))
        await eventually(has_waiting, lane, 1)
        hung_up.set()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(waiter, FOR_EVER)
        lane.ensure_room()
        work.end.set()
        await running


async def test_who_waited_for_their_turn_leaves_nothing_behind() -> None:
    """No task that still watches the caller, and no complaint of one."""
    work, complaints = Work(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, complaint: complaints.append(complaint))

    async def stay() -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    with opened(work, deadline=FOR_EVER) as lane:
        running = await work.occupy(lane)
        client_disconnect.set(stay)
        waiter = asyncio.create_task(lane.run(work))
        await eventually(has_waiting, lane, 1)
        work.end.set()
        assert {await running, await waiter} == {"hashed"}
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert complaints == []


async def test_a_caller_who_goes_away_while_the_thread_works_leaves_it_busy() -> None:
    """Otherwise more hashes than threads would run, each with its memory."""
    work = Work()
    with opened(work, queue=0) as lane:
        running = await work.occupy(lane)
        running.cancel()
        await asyncio.wait({running})
        with pytest.raises(HashingOverloaded):
            lane.ensure_room()
        work.end.set()
        await eventually(has_room, lane)


async def test_a_hash_that_fails_frees_its_thread() -> None:
    work = Work()
    with opened(work, queue=0) as lane:
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)
        lane.ensure_room()


async def has_waiting(lane: HashingLane, number: int) -> bool:
    return lane.waiting == number


async def has_room(lane: HashingLane) -> bool:
    try:
        lane.ensure_room()
    except HashingOverloaded:
        return False
    return True
