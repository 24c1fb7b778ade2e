"""The clean-up's rules, on every database: which rows go, in what steps, and what the report says."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import insert, select

from auth_service.models import FACTORS, LINK_TOKENS, SPENT_CHALLENGES
from auth_service.repositories.database import Database
from auth_service.services.operations.cleanup import Cleanup
from tests.support.sessions import HOUR, add_links, add_sessions, opened, session_ids

MOMENT = timedelta(microseconds=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


async def test_exactly_the_sessions_whose_absolute_life_is_over_are_deleted(database: Database) -> None:
    live = await add_sessions(database, HOUR, 24 * HOUR)
    await add_sessions(database, -MOMENT, -24 * HOUR)
    report = await Cleanup(database).delete_expired(100)
    assert await session_ids(database) == set(live)
    assert (report.deleted, report.batches, report.left) == (2, 1, 0)
    assert report.oldest_expired_seconds is None
    assert report.skipped is False
    assert report.seconds > 0


async def test_a_revoked_session_stays_as_a_tripwire_until_its_absolute_life_is_over(database: Database) -> None:
    tripwires = await add_sessions(database, HOUR, revoked=True)
    await add_sessions(database, -HOUR, revoked=True)
    assert (await Cleanup(database).delete_expired(100)).deleted == 1
    assert await session_ids(database) == set(tripwires)


async def test_no_batch_is_larger_than_the_given_size(database: Database) -> None:
    await add_sessions(database, *(-number * HOUR for number in range(1, 8)))
    batches: list[int] = []
    report = await Cleanup(database).delete_expired(3, on_progress=batches.append)
    assert batches == [3, 3, 1]
    assert (report.deleted, report.batches) == (7, 3)


async def test_a_last_batch_that_is_full_is_no_reason_to_fail(database: Database) -> None:
    await add_sessions(database, *(-number * HOUR for number in range(1, 7)))
    report = await Cleanup(database).delete_expired(3)
    assert (report.deleted, report.batches, report.left) == (6, 2, 0)


async def test_sessions_that_ended_at_the_same_moment_are_all_deleted(database: Database) -> None:
    await add_sessions(database, *([-HOUR] * 5))
    assert (await Cleanup(database).delete_expired(2)).deleted == 5
    assert await session_ids(database) == set()


async def test_a_run_that_is_broken_off_keeps_every_batch_before(database: Database) -> None:
    ids = await add_sessions(database, *(-number * HOUR for number in range(1, 6)))
    seen: list[int] = []

    def break_off(deleted: int) -> None:
        seen.append(deleted)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await Cleanup(database).delete_expired(2, on_progress=break_off)
    assert await session_ids(database) == {ids[0]}, "the oldest go first"


async def test_a_time_budget_ends_the_run_and_the_report_says_what_is_left(database: Database) -> None:
    ids = await add_sessions(database, -HOUR, -2 * HOUR, -3 * HOUR, -4 * HOUR)
    report = await Cleanup(database).delete_expired(2, time_budget=timedelta(0))
    assert (report.deleted, report.batches, report.left) == (2, 1, 2)
    assert report.oldest_expired_seconds is not None
    assert 2 * 3600 <= report.oldest_expired_seconds < 2 * 3600 + 60
    assert await session_ids(database) == set(ids[:2])


async def test_a_time_budget_that_suffices_changes_nothing(database: Database) -> None:
    await add_sessions(database, -HOUR, -2 * HOUR, -3 * HOUR)
    report = await Cleanup(database).delete_expired(1, time_budget=HOUR)
    assert (report.deleted, report.left) == (3, 0)


async def test_a_dry_run_tells_what_a_run_would_find_and_deletes_nothing(database: Database) -> None:
    ids = await add_sessions(database, -HOUR, -2 * HOUR, HOUR)
    report = await Cleanup(database).survey()
    assert report.sessions == 2
    assert report.oldest_expired_seconds is not None
    assert 2 * 3600 <= report.oldest_expired_seconds < 2 * 3600 + 60
    assert await session_ids(database) == set(ids)


async def test_with_nothing_to_delete_a_run_says_so(database: Database) -> None:
    await add_sessions(database, HOUR)
    report = await Cleanup(database).delete_expired(100)
    assert (report.deleted, report.batches, report.left, report.oldest_expired_seconds) == (0, 0, 0, None)


async def test_links_whose_time_is_over_are_deleted_in_batches_and_no_others(database: Database) -> None:
    kept = await add_links(database, *[HOUR] * 2)
    await add_links(database, *[-HOUR] * 5)
    assert (await Cleanup(database).survey()).links == 5
    assert (await Cleanup(database).delete_expired(2)).links_deleted == 5
    async with database.statement() as tx:
        assert set((await tx.connection.execute(select(LINK_TOKENS.c.user_id))).scalars()) == set(kept)
    assert (await Cleanup(database).delete_expired(2)).links_deleted == 0


async def test_challenges_go_after_their_day_and_factors_that_nobody_confirmed_after_ten_minutes(
    database: Database,
) -> None:
    owners = [(await add_links(database, HOUR))[0] for _ in range(3)]
    now, minute = datetime.now(UTC), timedelta(minutes=1)
    of_factors = [  # whose, since when, and confirmed when
        (owners[0], now - 11 * minute, None), (owners[1], now - 9 * minute, None), (owners[2], now - 24 * HOUR, now),
    ]  # fmt: skip
    columns = ("user_id", "created_at", "confirmed_at")
    factors = [dict(zip(columns, row, strict=True), id=uuid4(), kind="totp", last_step=0) for row in of_factors]
    lives = [-MOMENT, -HOUR, -HOUR, HOUR]
    challenges = [{"digest": bytes([number] * 32), "expires_at": now + life} for number, life in enumerate(lives)]
    async with database.transaction() as tx:
        await tx.connection.execute(insert(FACTORS).values(factors))
        await tx.connection.execute(insert(SPENT_CHALLENGES).values(challenges))
    cleanup = Cleanup(database)
    found = await cleanup.survey()
    report = await cleanup.delete_expired(2)
    assert (found.challenges, found.factors) == (report.challenges_deleted, report.factors_deleted)
    assert (report.challenges_deleted, report.factors_deleted) == (3, 1)
    assert (cleanup.numbers.challenges, cleanup.numbers.factors) == (3, 1)
    async with database.statement() as tx:
        assert set((await tx.connection.execute(select(FACTORS.c.user_id))).scalars()) == set(owners[1:])
        assert list((await tx.connection.execute(select(SPENT_CHALLENGES.c.digest))).scalars()) == [bytes([3] * 32)]
