"""The rule about the life of signing keys: what is due, told the keys and the time."""

from datetime import UTC, datetime, timedelta

import pytest

from auth_service.models import KeyState, KeyStep, SigningKey, due_steps

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUARTER = timedelta(days=90)
NEVER = timedelta(0)
SECOND = timedelta(seconds=1)


def key(state: KeyState, age: timedelta, kid: str = "") -> SigningKey:
    """A key that has been in its state for so long."""
    since = NOW - age
    return SigningKey(
        kid=kid or state,
        algorithm="ES256",
        public_jwk={},
        private_key=b"",
        secret_id="",
        state=state,
        created_at=since,
        activated_at=since if state is not KeyState.PENDING else None,
        retired_at=since if state is KeyState.RETIRED else None,
    )


def active(age: timedelta = timedelta(days=1)) -> SigningKey:
    return key(KeyState.ACTIVE, age)


def test_nothing_is_due_for_a_young_key() -> None:
    assert due_steps([active()], NOW, QUARTER) == []


def test_nothing_is_due_for_no_keys() -> None:
    assert due_steps([], NOW, QUARTER) == []


@pytest.mark.parametrize(("age", "steps"), [
    (timedelta(minutes=6) - SECOND, []),
    (timedelta(minutes=6), [(KeyStep.RETIRE, "active"), (KeyStep.ACTIVATE, "pending")]),
])  # fmt: skip
def test_a_published_key_takes_over_after_six_minutes(age: timedelta, steps: list[tuple[KeyStep, str]]) -> None:
    assert due_steps([active(), key(KeyState.PENDING, age)], NOW, QUARTER) == steps


def test_the_old_key_retires_before_the_new_one_signs() -> None:
    """The database allows one active key at a time."""
    steps = due_steps([active(), key(KeyState.PENDING, timedelta(hours=1))], NOW, QUARTER)
    assert [step for step, _ in steps] == [KeyStep.RETIRE, KeyStep.ACTIVATE]


@pytest.mark.parametrize(("age", "steps"), [
    (timedelta(minutes=12) - SECOND, []),
    (timedelta(minutes=12), [(KeyStep.REMOVE, "retired")]),
])  # fmt: skip
def test_a_retired_key_verifies_for_twelve_minutes(age: timedelta, steps: list[tuple[KeyStep, str]]) -> None:
    assert due_steps([key(KeyState.RETIRED, age), active()], NOW, QUARTER) == steps


@pytest.mark.parametrize(("age", "steps"), [
    (QUARTER - timedelta(minutes=6) - SECOND, []),
    (QUARTER - timedelta(minutes=6), [(KeyStep.ADD, "")]),
])  # fmt: skip
def test_a_successor_is_published_in_time_to_sign_when_the_interval_ends(
    age: timedelta, steps: list[tuple[KeyStep, str]]
) -> None:
    assert due_steps([active(age)], NOW, QUARTER) == steps


def test_one_successor_is_enough() -> None:
    assert due_steps([active(QUARTER * 2), key(KeyState.PENDING, SECOND)], NOW, QUARTER) == []


def test_an_interval_of_zero_means_never() -> None:
    assert due_steps([active(QUARTER * 40)], NOW, NEVER) == []


def test_a_rotation_by_hand_goes_on_although_none_happens_by_itself() -> None:
    steps = due_steps([active(), key(KeyState.PENDING, timedelta(minutes=6))], NOW, NEVER)
    assert steps == [(KeyStep.RETIRE, "active"), (KeyStep.ACTIVATE, "pending")]


def test_every_retired_key_that_is_due_goes_in_one_turn_with_a_take_over() -> None:
    keys = [key(KeyState.RETIRED, timedelta(days=1), kid) for kid in ("first", "second")]
    steps = due_steps([*keys, active(), key(KeyState.PENDING, timedelta(minutes=7))], NOW, QUARTER)
    assert steps == [
        (KeyStep.REMOVE, "first"),
        (KeyStep.REMOVE, "second"),
        (KeyStep.RETIRE, "active"),
        (KeyStep.ACTIVATE, "pending"),
    ]
