"""The pace of the clean-up, told what a database would answer: it finds what the database bears, and is never late."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_service.schedule import RUNS_EVERY, RUNS_SPREAD
from auth_service.services.operations.pace import FALL, FULL_SPEED, LONGEST, PERIOD, RISE, Pace, Speed
from auth_service.settings import CleanupSettings

QUICK, SLOW = 0.001, 1.0  # seconds of an answer, on either side of the target
SPEED = Speed(most=10_000, least=100)
BATCH = 5000
ARRIVING = 1_000_000 / 3600  # rows a second that the service level is for


def run(pace: Pace, answer: Callable[[float], float], batches: int, takes: float = 0.0) -> list[float]:
    """Run so many batches; `answer` is told the rate and tells the seconds of the slowest answer. Return the rates."""
    now, rates = 0.0, []
    for _ in range(batches):
        rows = pace.begin_batch(now)
        rates.append(pace.rate)
        now += takes
        now += pace.end_batch(rows, answer(pace.rate), now)
    return rates


def seconds_for(pace: Pace, backlog: float, arriving: float, takes: float) -> float:
    """How long a run takes until nothing is left, on a database that always answers too slowly."""
    now, left, found = 0.0, backlog, backlog
    pace.expect(backlog, now)
    is_full = True
    while is_full:
        rows, begun = pace.begin_batch(now), now
        gone, is_full = min(rows, left), left >= rows
        now += takes
        now += pace.end_batch(round(gone), SLOW, now)
        left += (now - begun) * arriving - gone
        found -= gone
        pace.remain(found, now)
    return now


def test_a_quick_database_is_used_up_to_the_highest_rate_and_no_more() -> None:
    rates = run(Pace(SPEED, BATCH, 0.0), lambda _rate: QUICK, round(2 / RISE))
    assert rates == sorted(rates)
    assert (rates[0], rates[-1]) == (100, 10_000)
    assert rates[1] - rates[0] == pytest.approx(RISE * 10_000)


def test_a_busy_database_is_left_alone_within_a_few_batches() -> None:
    pace = Pace(SPEED, BATCH, 0.0)
    run(pace, lambda _rate: QUICK, round(1 / RISE))
    rates = run(pace, lambda _rate: SLOW, 9)
    assert rates[1] == rates[0] * FALL
    assert rates[-1] == 100


@given(bears=st.floats(500, 9_000))
def test_it_converges_to_what_a_database_bears(bears: float) -> None:
    rates = run(Pace(SPEED, BATCH, 0.0), lambda rate: SLOW if rate > bears else QUICK, 400)
    settled, step = rates[200:], RISE * 10_000
    assert bears * FALL - step <= min(settled)
    assert max(settled) <= bears + step
    assert bears * 0.6 - step <= sum(settled) / len(settled)


EVENTS = st.tuples(
    st.floats(-1e6, 1e6),  # how far the clock steps
    st.floats(0, 1e6),  # seconds of an answer
    st.integers(0, BATCH),  # rows that went
    st.floats(-1e9, 1e9),  # rows that are said to be left
    st.booleans(),  # whether another part of the work begins
)


@given(
    events=st.lists(EVENTS, max_size=50),
    most=st.integers(0, 1_000_000),
    least=st.integers(1, 1_000_000),
    within=st.floats(0, 1e6),
)
def test_whatever_the_clock_and_the_database_do_it_stays_within_its_bounds(
    events: list[tuple[float, float, int, float, bool]], most: int, least: int, within: float
) -> None:
    pace, now = Pace(Speed(most, least, within=timedelta(seconds=within)), BATCH, 0.0), 0.0
    for step, slowest, rows, left, is_new in events:
        now += step
        (pace.expect if is_new else pace.remain)(left, now)
        assert 1 <= pace.begin_batch(now) <= BATCH
        now += step
        assert 0 <= pace.end_batch(rows, slowest, now) <= max(PERIOD, LONGEST)
        assert min(least, most) <= pace.floor <= most
        assert pace.rate >= pace.floor
        assert pace.rate <= most or not most


@settings(max_examples=25, deadline=None)
@given(backlog=st.integers(1, 50_000), takes=st.floats(0, 1), within=st.floats(10, 60))
def test_a_backlog_is_gone_in_time_however_slow_the_answers_are(backlog: int, takes: float, within: float) -> None:
    pace = Pace(Speed(most=10_000, least=100, within=timedelta(seconds=within)), BATCH, 0.0)
    possible = backlog / (10_000 if takes * 1.4 < 0.5 else BATCH / (takes * 1.4))  # seconds at the highest rate
    assert seconds_for(pace, backlog, 0, takes) <= max(within, possible) + 3


@pytest.mark.parametrize("takes", [0.0, 0.02, 0.5])
def test_with_a_million_rows_an_hour_none_stays_for_longer_than_the_interval(takes: float) -> None:
    """A row that a run has just passed waits for the next run, and in the worst case until that is over."""
    defaults = CleanupSettings()
    hour = defaults.interval.total_seconds()
    between_runs = (RUNS_EVERY + RUNS_SPREAD) * hour
    pace = Pace(Speed.of(defaults), defaults.batch_size, 0.0)
    length = seconds_for(pace, ARRIVING * between_runs, ARRIVING, takes)
    assert between_runs + length < hour
    assert length < (RUNS_EVERY - RUNS_SPREAD) * hour, "it is over before the next one begins"


def test_at_the_very_end_of_its_time_and_after_it_the_floor_is_no_more_than_the_highest_rate() -> None:
    for now in (540.0, 541.0, 1e9):
        pace = Pace(SPEED, BATCH, 0.0)
        pace.remain(50.0, now)
        assert pace.floor == 100, "50 rows in a tenth of the nine minutes are no hurry"
        pace.remain(1e9, now)
        assert pace.floor == 10_000


def test_at_full_speed_it_rests_never_and_tells_what_it_reaches() -> None:
    pace = Pace(FULL_SPEED, BATCH, 0.0)
    assert pace.begin_batch(1.0) == BATCH
    assert pace.end_batch(BATCH, SLOW, 1.5) == 0
    assert pace.rate == BATCH / 0.5


def test_a_lower_rate_than_the_lowest_of_the_settings_is_kept_to() -> None:
    assert run(Pace(Speed.of(CleanupSettings(), rate=10), BATCH, 0.0), lambda _rate: QUICK, 100)[-1] == 10


def test_a_run_that_is_cut_off_wants_to_be_through_before() -> None:
    speed = Speed.of(CleanupSettings())
    assert speed.of_the_budget(timedelta(seconds=60)).within == timedelta(seconds=30)
    assert speed.of_the_budget(timedelta(hours=9)) == speed
    assert Speed.of(CleanupSettings(interval=timedelta(0))) == speed, "an hour, where cron runs it"
