"""The rule that judges a refresh token which did not rotate its session, for any session and any time."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from operator import itemgetter
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth_service.models import (
    FAST_FORWARD_LIMIT,
    MOST_ROTATIONS,
    ROTATIONS_KEPT,
    UNKNOWN_DEVICE,
    Device,
    SessionRules,
    SessionState,
    Verdict,
    hour_of,
    judge,
    told_use,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)
HASHES = st.one_of(st.none(), st.sampled_from([b"one", b"other"]))
GAP = st.one_of(st.timedeltas(timedelta(0), timedelta(seconds=20)), st.timedeltas(timedelta(0), 2 * DAY))
GAPS = st.lists(GAP, min_size=ROTATIONS_KEPT, max_size=ROTATIONS_KEPT)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


@st.composite
def all_rules(draw: st.DrawFn) -> SessionRules:
    idle = draw(st.timedeltas(timedelta(seconds=1), 14 * DAY))
    return SessionRules(
        grace=draw(st.timedeltas(timedelta(0), timedelta(minutes=1))),
        idle_lifetime=idle,
        absolute_lifetime=draw(st.timedeltas(idle, 30 * DAY)),
        max_per_user=50,
    )


@st.composite
def spent(draw: st.DrawFn, least: int = 1, most: int = ROTATIONS_KEPT) -> tuple[SessionState, int]:
    """A live session that was used just now, and a number of its last rotations; they were at any times before."""
    steps = draw(st.integers(least, most))
    generation = draw(st.integers(steps, 40))
    ages = list(accumulate(draw(GAPS)))[:generation]
    return _session(draw, generation, ages), steps


def _session(draw: st.DrawFn, generation: int, ages: list[timedelta]) -> SessionState:
    return SessionState(
        id=UUID(int=1),
        user_id=UUID(int=2),
        role="user",
        credential_is_current=True,
        generation=generation,
        rotations=[NOW - age for age in ages],
        idempotency_hash=draw(HASHES),
        last_used_at=NOW,
        expires_at=NOW + draw(st.timedeltas(INSTANT, 30 * DAY)),
        revoked_at=None,
        now=NOW,
        authenticated_at=NOW,
        acr="aal1",
        amr="pwd",
        idempotency_spent=draw(st.booleans()),
    )


SPENT = spent()
SESSIONS = SPENT.map(itemgetter(0))


@unhurried
@given(spent(most=40), all_rules(), HASHES, st.sampled_from(["revoked", "user", "idle", "age"]))
def test_the_end_of_a_session_beats_everything(
    case: tuple[SessionState, int], rules: SessionRules, key: bytes | None, end: str
) -> None:
    session, steps = case
    ended = {
        "revoked": session._replace(revoked_at=NOW - DAY),
        "user": session._replace(credential_is_current=False),
        "idle": session._replace(last_used_at=NOW - rules.idle_lifetime),
        "age": session._replace(expires_at=NOW),
    }[end]
    for generation in (ended.generation - steps, ended.generation, ended.generation + steps):
        assert judge(ended, generation, key, rules, UNKNOWN_DEVICE) is Verdict.ENDED


@unhurried
@given(SPENT, all_rules())
def test_a_spent_token_is_a_replay_exactly_within_the_grace(
    case: tuple[SessionState, int], rules: SessionRules
) -> None:
    session, steps = case
    age = NOW - session.rotations[steps - 1]
    expected = Verdict.REPLAY if age < rules.grace else Verdict.REUSE
    assert judge(session, session.generation - steps, None, rules, UNKNOWN_DEVICE) is expected


@unhurried
@given(SPENT, all_rules(), st.timedeltas(INSTANT, timedelta(minutes=1)))
def test_the_grace_ends_at_its_last_microsecond(
    case: tuple[SessionState, int], any_rules: SessionRules, grace: timedelta
) -> None:
    session, steps = case
    rules = any_rules._replace(grace=grace)
    for age, expected in ((rules.grace - INSTANT, Verdict.REPLAY), (rules.grace, Verdict.REUSE)):
        moved = session._replace(rotations=[NOW - age] * len(session.rotations), idempotency_hash=None)
        assert judge(moved, moved.generation - steps, None, rules, UNKNOWN_DEVICE) is expected


@unhurried
@given(spent(least=ROTATIONS_KEPT + 1, most=40), all_rules(), HASHES)
def test_an_ancestor_of_which_nothing_is_known_is_a_reuse(
    case: tuple[SessionState, int], rules: SessionRules, key: bytes | None
) -> None:
    session, steps = case
    fresh = session._replace(rotations=[NOW] * len(session.rotations))
    assert judge(fresh, fresh.generation - steps, key, rules, UNKNOWN_DEVICE) is Verdict.REUSE


@unhurried
@given(SPENT, all_rules(), HASHES)
def test_the_key_of_one_rotation_stretches_the_grace_of_the_parent_to_a_day_and_nothing_else(
    case: tuple[SessionState, int], rules: SessionRules, key: bytes | None
) -> None:
    session, steps = case
    age = NOW - session.rotations[steps - 1]
    stretched = steps == 1 and key is not None and key == session.idempotency_hash and not session.idempotency_spent
    limit = max(rules.grace, DAY) if stretched else rules.grace
    expected = Verdict.REPLAY if age < limit else Verdict.REUSE
    assert judge(session, session.generation - steps, key, rules, UNKNOWN_DEVICE) is expected


@unhurried
@given(SESSIONS, all_rules(), st.integers(0, 10), HASHES)
def test_a_token_ahead_is_never_a_reuse(
    session: SessionState, rules: SessionRules, steps: int, key: bytes | None
) -> None:
    expected = Verdict.RACE if steps <= FAST_FORWARD_LIMIT else Verdict.AHEAD
    assert judge(session, session.generation + steps, key, rules, UNKNOWN_DEVICE) is expected


@unhurried
@given(SESSIONS, all_rules(), st.integers(0, FAST_FORWARD_LIMIT), st.timedeltas(-DAY, DAY), st.integers(-2, 2))
def test_a_current_token_is_answered_unchanged_exactly_while_there_are_so_many_rotations_within_the_grace(
    session: SessionState, rules: SessionRules, steps: int, age: timedelta, more: int
) -> None:
    """The first was so long ago, by a clock that may have stepped back, and the others were just now."""
    session = session._replace(rotations=[NOW] * (MOST_ROTATIONS + more - 1) + [NOW - age])
    first = {-2: None, -1: None, 0: age}.get(more, timedelta(0))
    is_held = first is not None and timedelta(0) <= first < rules.grace
    expected = Verdict.UNCHANGED if is_held else Verdict.RACE
    assert judge(session, session.generation + steps, None, rules, UNKNOWN_DEVICE) is expected


@unhurried
@given(SESSIONS, all_rules())
def test_a_session_is_usable_until_the_sooner_of_its_two_ends(session: SessionState, rules: SessionRules) -> None:
    end = session.usable_until(rules)
    assert end <= session.expires_at
    assert end <= session.last_used_at + rules.idle_lifetime
    assert end in {session.expires_at, session.last_used_at + rules.idle_lifetime}
    assert judge(session._replace(now=end - INSTANT), session.generation, None, rules, UNKNOWN_DEVICE) is Verdict.RACE
    assert judge(session._replace(now=end), session.generation, None, rules, UNKNOWN_DEVICE) is Verdict.ENDED


HERE = Device("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "203.0.113.7")
NEAR = ("203.0.113.7", "203.0.113.255", None)
FAR = ("203.0.112.7", "198.51.100.1", "2001:db8::1")
ALIKE = (HERE.user_agent, "Mozilla/5.0 (X11; Linux x86_64; rv:141.0.1) Gecko/20100101 Firefox/141.0.1", None)
OTHERS = ("curl/8.0", "Mozilla/5.0 (X11; Linux x86_64)")


@unhurried
@given(SPENT, all_rules(), HASHES, st.sampled_from(NEAR + FAR), st.sampled_from(ALIKE + OTHERS))
def test_a_replay_in_the_grace_is_a_reuse_only_from_another_network_and_another_device_without_the_key(
    case: tuple[SessionState, int], rules: SessionRules, key: bytes | None, ip: str | None, user_agent: str | None
) -> None:
    session, steps = case
    spent_now = session._replace(rotations=[NOW] * len(session.rotations), rotated_from=HERE)
    rules = rules._replace(grace=max(rules.grace, INSTANT))
    excused = key is not None and key == session.idempotency_hash and not session.idempotency_spent
    expected = Verdict.REUSE if ip in FAR and user_agent in OTHERS and not excused else Verdict.REPLAY
    assert judge(spent_now, session.generation - steps, key, rules, Device(user_agent, ip)) is expected
    unknown = spent_now._replace(rotated_from=UNKNOWN_DEVICE)  # an older service rotated it
    assert judge(unknown, session.generation - steps, key, rules, Device(user_agent, ip)) is Verdict.REPLAY


def test_networks_of_ipv6_are_near_within_a_48() -> None:
    one = Device("curl/8.0", "2001:db8:1:2::3")
    assert one.is_near(Device("curl/8.0", "2001:db8:1:ffff::1"))
    assert not one.is_near(Device("curl/8.0", "2001:db8:2::3"))


@given(st.lists(st.timedeltas(timedelta(seconds=1), timedelta(hours=5)), min_size=1, max_size=30))
def test_a_bearer_sees_the_last_use_change_on_the_hour_alone(gaps: list[timedelta]) -> None:
    """The columns as the statement of a refresh writes them; looked at before and after each, and late in its hour."""
    created_at = last = NOW
    earlier: datetime | None = None
    times: list[datetime] = [NOW, *(NOW + past for past in accumulate(gaps))]
    for now in times:
        before = told_use(created_at, earlier, last, now)
        earlier, last = (last if last < hour_of(now) else earlier), now
        late = hour_of(now) + timedelta(hours=1) - INSTANT
        assert told_use(created_at, earlier, last, now) == told_use(created_at, earlier, last, late) == before
        assert before == hour_of(before)
        assert told_use(created_at, earlier, last, late + INSTANT) == hour_of(now)
