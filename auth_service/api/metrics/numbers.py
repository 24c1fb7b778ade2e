"""The numbers of one worker, read from the parts that count."""

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from auth_service import __version__
from auth_service.api.http.middleware.request_counts import RequestCounts
from auth_service.database.replica import Replica
from auth_service.models import KeyState, Verdict, next_change
from auth_service.services.mail.notices import MailNumbers
from auth_service.services.operations.cleanup_report import CleanupNumbers
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.services import Gauges
from auth_service.services.sessions.login_outcomes import LoginOutcome
from auth_service.services.signing_keys.key_ring import KeyRing

if TYPE_CHECKING:
    from prometheus_client.process_collector import ProcessCollector

# Of each metric: the values of its labels, and its one number; of a histogram its counts and, at the end, its sum.
Numbers = dict[str, list[tuple[Sequence[str], Sequence[float]]]]
Sample = tuple[str, Sequence[str], float | list[float]]

VERSIONS = (__version__, platform.python_version())
# So that a rate is known from the first one on.
OUTCOMES = [outcome for outcome in Verdict if outcome is not Verdict.RACE]
SECOND_STEPS = [outcome for outcome in LoginOutcome if outcome is not LoginOutcome.SECOND_FACTOR_REQUIRED]
THROTTLED = ("login", "second-factor", "password", "registration", "refresh")


def read(gauges: Gauges, requests: RequestCounts) -> Numbers:
    """Return what this process knows about itself right now; asks nothing of the database."""
    found: Numbers = {}
    for name, labels, number in _samples(gauges, requests):
        found.setdefault(name, []).append((labels, number if isinstance(number, list) else [number]))
    return found


def _samples(gauges: Gauges, requests: RequestCounts) -> Iterator[Sample]:
    yield "auth_build_info", VERSIONS, 1
    for series, count in requests.requests():
        yield "auth_http_requests_total", series, count
    for route, durations in requests.durations():
        yield "auth_http_request_duration_seconds", route, durations.numbers
    yield from _counted("auth_logins_total", gauges.logins, LoginOutcome)
    yield from _counted("auth_second_factors_total", gauges.second_factors, SECOND_STEPS)
    yield from _counted("auth_passkey_logins_total", gauges.passkey_logins, SECOND_STEPS)
    yield from _counted("auth_refreshes_total", gauges.refreshes, OUTCOMES)
    yield from _counted("auth_throttled_total", gauges.throttled, THROTTLED)
    yield from _hashing(gauges.lane)
    yield from _pool(gauges.database.numbers())
    if gauges.database.replica:
        yield from _replica(gauges.database.replica)
    yield "auth_revocations_age_seconds", (), gauges.revocations.age
    yield "auth_revocations_stale", (), int(gauges.revocations.is_stale)
    yield "auth_revocations_remembered", (), gauges.revocations.remembered
    yield "auth_verified_tokens", (), gauges.keys.remembered
    yield from _keys(gauges.keys, gauges.rotation_interval)
    yield from _mail(gauges.mail)
    yield from _cleanup(gauges.cleanup.numbers)
    for metric in _process().collect():
        for sample in metric.samples:
            yield sample.name, (), sample.value


@cache
def _process() -> "ProcessCollector":
    from prometheus_client.process_collector import ProcessCollector  # noqa: PLC0415  # see LATER in main.py

    return ProcessCollector(registry=None)


def _counted(name: str, counts: Mapping[Any, int], known: Iterable[str]) -> Iterator[Sample]:
    for word in dict.fromkeys([*known, *counts]):
        yield name, (word,), counts.get(word, 0)


def _hashing(lane: HashingLane) -> Iterator[Sample]:
    yield "auth_hashing_threads", (), lane.threads
    yield "auth_hashing_waiting", (), lane.waiting
    yield "auth_hashing_wait_seconds", (), lane.waits.numbers
    yield "auth_hashing_seconds", (), lane.hashes.numbers
    yield "auth_hashing_shed_total", (), lane.shed


def _pool(numbers: Mapping[str, int]) -> Iterator[Sample]:
    for name, number in numbers.items():
        yield "auth_db_pool_timeouts_total" if name == "time_outs" else f"auth_db_pool_{name}", (), number


def _replica(replica: Replica) -> Iterator[Sample]:
    yield "auth_database_replica_up", (), int(replica.is_up)
    yield "auth_database_replica_fallbacks_total", (), replica.fallbacks
    if replica.lag is not None:
        yield "auth_database_replica_lag_seconds", (), replica.lag


def _keys(keys: KeyRing, rotation_interval: timedelta) -> Iterator[Sample]:
    stored = keys.stored
    states = Counter(key.state for key in stored)
    for state in KeyState:
        yield "auth_signing_keys", (state,), states[state]
    yield "auth_signing_key_usable", (), int(keys.can_sign)
    for key in stored:
        if key.state == KeyState.ACTIVE and key.activated_at:
            yield "auth_signing_key_activated_timestamp_seconds", (), key.activated_at.timestamp()
    if next_at := next_change(stored, rotation_interval):
        yield "auth_signing_key_next_timestamp_seconds", (), next_at.timestamp()


def _mail(numbers: MailNumbers) -> Iterator[Sample]:
    yield "auth_mails_waiting", (), numbers.waiting
    yield "auth_mails_oldest_seconds", (), numbers.oldest_now
    yield "auth_mails_sent_total", (), numbers.sent
    yield "auth_mails_failed_total", (), numbers.failed
    yield "auth_mails_given_up_total", (), numbers.given_up


def _cleanup(numbers: CleanupNumbers) -> Iterator[Sample]:
    yield "auth_cleanup_deleted_total", ("sessions",), numbers.sessions
    yield "auth_cleanup_deleted_total", ("attempts",), numbers.throttles
    yield "auth_cleanup_deleted_total", ("links",), numbers.links
    yield "auth_cleanup_deleted_total", ("registrations",), numbers.registrations
    yield "auth_cleanup_deleted_total", ("challenges",), numbers.challenges
    yield "auth_cleanup_deleted_total", ("factors",), numbers.factors
    yield "auth_cleanup_failures_total", (), numbers.failures
    if numbers.finished_at:
        yield "auth_cleanup_last_success_timestamp_seconds", (), numbers.finished_at
    yield "auth_cleanup_rate", (), round(numbers.pace.rate) if numbers.pace else 0
    if numbers.oldest_expired is not None:
        yield "auth_cleanup_oldest_expired_seconds", (), numbers.oldest_expired
