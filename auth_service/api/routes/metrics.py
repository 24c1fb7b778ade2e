"""`/metrics`, for Prometheus. Values are read at each scrape; with several workers, a scrape sees one of them."""

from collections.abc import Iterator

from fastapi import APIRouter, Depends
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import ServicesDep, set_requester
from auth_service.api.requests.internal_token import internal_only
from auth_service.database.replica import Replica
from auth_service.services.mail.notices import MailNumbers
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.services import Gauges

router = APIRouter(tags=["operations"], dependencies=[Depends(set_requester)])


@router.get(
    "/metrics",
    dependencies=[Depends(internal_only)],
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}, **problems("invalid-internal-token")},
)
async def metrics(services: ServicesDep) -> Response:
    """Metrics of the pool, the hashing lane, refreshes and revocations, in the Prometheus text format."""
    return Response(generate_latest(_Snapshot(services.gauges)), media_type=CONTENT_TYPE_LATEST)


def _hashing(lane: HashingLane) -> Iterator[Metric]:
    yield GaugeMetricFamily("auth_hashing_threads", "Hashing threads", lane.threads)
    yield GaugeMetricFamily("auth_hashing_waiting", "Requests waiting for a hashing thread", lane.waiting)
    seconds = "Hashes, and the seconds they took in their threads"
    yield SummaryMetricFamily("auth_hashing_seconds", seconds, lane.hashes, lane.seconds)
    yield CounterMetricFamily(
        "auth_hashing_shed", "Requests refused because the queue or the deadline left no room", lane.shed
    )


def _replica(replica: Replica) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "auth_database_replica_up", "1 while reads are sent to the read replica", int(replica.is_up)
    )
    yield CounterMetricFamily(
        "auth_database_replica_fallbacks", "Reads that fell back to the primary", replica.fallbacks
    )
    if replica.lag is not None:
        seconds = "Upper bound of the lag of the replica at the last read"
        yield GaugeMetricFamily("auth_database_replica_lag_seconds", seconds, replica.lag)


def _mail(numbers: MailNumbers) -> Iterator[Metric]:
    yield GaugeMetricFamily("auth_mails_waiting", "E-mails waiting to be sent, by any process", numbers.waiting)
    yield GaugeMetricFamily("auth_mails_oldest_seconds", "Age of the oldest e-mail waiting to be sent", numbers.oldest)
    yield CounterMetricFamily("auth_mails_sent", "E-mails sent by this process", numbers.sent)
    yield CounterMetricFamily("auth_mails_failed", "Failed attempts to send an e-mail, to be retried", numbers.failed)
    yield CounterMetricFamily("auth_mails_given_up", "E-mails refused permanently or too old", numbers.given_up)


class _Snapshot(Collector):
    """What the parts know about themselves right now."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        gauges = self._gauges
        for name, value in gauges.database.numbers().items():
            yield GaugeMetricFamily(f"auth_db_pool_{name}", "Connections of the pool, and requests for them", value)
        if gauges.database.replica:
            yield from _replica(gauges.database.replica)
        yield from _hashing(gauges.lane)
        outcomes = CounterMetricFamily("auth_refreshes", "Refresh tokens presented, by outcome", labels=["outcome"])
        for outcome, count in gauges.refreshes.items():
            outcomes.add_metric([outcome], count)
        yield outcomes
        yield from _mail(gauges.mail)
        news = gauges.revocations
        yield GaugeMetricFamily(
            "auth_revocations_stale", "1 while every access token is checked in the database", int(news.is_stale)
        )
        yield GaugeMetricFamily("auth_revocations_remembered", "Ended sessions in memory", news.remembered)
        yield GaugeMetricFamily("auth_verified_tokens", "Access tokens known to be genuine", gauges.keys.remembered)
        deleted = CounterMetricFamily("auth_cleanup_deleted", "Expired sessions deleted by this process's schedule")
        deleted.add_metric([], gauges.cleanup.deleted)
        yield deleted
