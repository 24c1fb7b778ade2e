"""The metrics that there are, named by the conventions of Prometheus, and how several workers add up."""

from enum import StrEnum
from typing import NamedTuple

from auth_service.api.http.middleware.request_counts import REQUEST_BOUNDS
from auth_service.services.passwords.hashing_lane import LANE_BOUNDS

MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"  # of the text format, as `prometheus_client` writes it


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Merge(StrEnum):
    """What several workers say together."""

    SUM = "sum"
    MOST = "the most"
    LEAST = "the least"
    EACH = "each of them, by the label `worker`"


class Family(NamedTuple):
    """One metric. `bounds` are those of a histogram, in seconds;"""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    merge: Merge = Merge.SUM
    bounds: tuple[float, ...] = ()

    @property
    def survives(self) -> bool:
        """Whether what a worker has counted stays when it ends: a sum must not go back."""
        return self.kind is not Kind.GAUGE and self.merge is Merge.SUM


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name, Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str, merge: Merge = Merge.SUM) -> Family:
    return Family(name, Kind.GAUGE, text, labels, merge)


def _seconds(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Family:
    return Family(name, Kind.HISTOGRAM, text, labels, bounds=bounds)


def _process(name: str, text: str, kind: Kind = Kind.GAUGE) -> Family:
    return Family(name, kind, text, merge=Merge.EACH)


WORKERS = _gauge("auth_workers", "Worker processes that there should be", merge=Merge.MOST)
REPORTING = _gauge("auth_workers_reporting", "Worker processes whose numbers are younger than 3 seconds")

FAMILIES = {
    family.name: family
    for family in (
        _gauge("auth_build_info", "1, labelled by the versions that run", "version", "python", merge=Merge.MOST),
        WORKERS,
        REPORTING,
        _counter("auth_http_requests_total", "Requests, by route, method and status", "route", "method", "status"),
        _seconds("auth_http_request_duration_seconds", "How long requests took", REQUEST_BOUNDS, "route", "method"),
        _counter("auth_logins_total", "Logins, by outcome", "outcome"),
        _counter("auth_second_factors_total", "Second steps of logins, by outcome", "outcome"),
        _counter("auth_passkey_logins_total", "Sign-ins with a passkey alone, by outcome", "outcome"),
        _counter("auth_refreshes_total", "Refresh tokens presented, by outcome", "outcome"),
        _counter("auth_throttled_total", "Attempts refused as too many, by what was attempted", "what"),
        _gauge("auth_hashing_threads", "Hashing threads"),
        _gauge("auth_hashing_waiting", "Requests waiting for a hashing thread"),
        _seconds("auth_hashing_wait_seconds", "How long requests waited for a hashing thread", LANE_BOUNDS),
        _seconds("auth_hashing_seconds", "How long hashes took in their threads", LANE_BOUNDS),
        _counter("auth_hashing_shed_total", "Requests refused as the queue or the deadline left no room"),
        _gauge("auth_db_pool_size", "Connections that the pool keeps"),
        _gauge("auth_db_pool_checked_out", "Connections in use"),
        _gauge("auth_db_pool_overflow", "Connections beyond those that the pool keeps"),
        _gauge("auth_db_pool_waiting", "Requests waiting for a connection"),
        _counter("auth_db_pool_timeouts_total", "Requests refused as no connection was free in time"),
        _gauge("auth_database_replica_up", "1 while reads are sent to the read replica", merge=Merge.LEAST),
        _counter("auth_database_replica_fallbacks_total", "Reads that fell back to the primary"),
        _gauge(
            "auth_database_replica_lag_seconds", "Upper bound of the replica's lag when last read", merge=Merge.MOST
        ),
        _gauge("auth_revocations_age_seconds", "Time since the ended sessions were last read", merge=Merge.MOST),
        _gauge("auth_revocations_stale", "1 while every access token is checked in the database", merge=Merge.MOST),
        _gauge("auth_revocations_remembered", "Ended sessions in memory", merge=Merge.MOST),
        _gauge("auth_verified_tokens", "Access tokens known to be genuine"),
        _gauge("auth_signing_keys", "Signing keys, by state", "state", merge=Merge.MOST),
        _gauge("auth_signing_key_usable", "1 while the active key is known and can sign", merge=Merge.LEAST),
        _gauge("auth_signing_key_activated_timestamp_seconds", "When the active key began to sign", merge=Merge.MOST),
        _gauge("auth_signing_key_next_timestamp_seconds", "When the next key is to sign", merge=Merge.LEAST),
        _gauge("auth_mails_waiting", "E-mails waiting to be sent, by any process", merge=Merge.MOST),
        _gauge("auth_mails_oldest_seconds", "Age of the oldest e-mail waiting to be sent", merge=Merge.MOST),
        _counter("auth_mails_sent_total", "E-mails sent"),
        _counter("auth_mails_failed_total", "Failed attempts to send an e-mail, to be retried"),
        _counter("auth_mails_given_up_total", "E-mails refused permanently or too old"),
        _counter("auth_cleanup_deleted_total", "Expired rows that the schedule deleted, by what they were", "what"),
        _counter("auth_cleanup_failures_total", "Clean-ups of the schedule that the database cut short"),
        _gauge(
            "auth_cleanup_last_success_timestamp_seconds", "When the schedule's last clean-up ended", merge=Merge.MOST
        ),
        _gauge("auth_cleanup_rate", "Rows per second that the clean-up at work may delete"),
        _gauge("auth_cleanup_oldest_expired_seconds", "How long ago the oldest session left expired", merge=Merge.MOST),
        _process("process_cpu_seconds_total", "User and system CPU time", Kind.COUNTER),
        _process("process_resident_memory_bytes", "Resident memory"),
        _process("process_virtual_memory_bytes", "Virtual memory"),
        _process("process_open_fds", "Open file descriptors"),
        _process("process_max_fds", "Limit of open file descriptors"),
        _process("process_start_time_seconds", "When the process started, since the epoch"),
    )
}
