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
    yield GaugeMetricFamily("auth_hashing_threads", "Passwords that can be hashed at the same time", lane.threads)
    yield GaugeMetricFamily("auth_hashing_waiting", "Passwords that wait for a thread", lane.waiting)
    seconds = "Hashes, and the seconds that they took in their threads"
    yield SummaryMetricFamily("auth_hashing_seconds", seconds, lane.hashes, lane.seconds)
    yield CounterMetricFamily(
        "auth_hashing_shed", "Passwords refused for want of room in the queue or in time", lane.shed
    )


def _replica(replica: Replica) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "auth_database_replica_up", "1 while reads are sent to the read replica", int(replica.is_up)
    )
    yield CounterMetricFamily(
        "auth_database_replica_fallbacks", "Reads that went to the primary for want of a replica", replica.fallbacks
    )
    if replica.lag is not None:
        seconds = "How far the replica was behind at the last read, at the most"
        yield GaugeMetricFamily("auth_database_replica_lag_seconds", seconds, replica.lag)


def _mail(numbers: MailNumbers) -> Iterator[Metric]:
    yield GaugeMetricFamily("auth_mails_waiting", "E-mails waiting to be sent, by any process", numbers.waiting)
    yield GaugeMetricFamily("auth_mails_oldest_seconds", "For how long the oldest of them has waited", numbers.oldest)
    yield CounterMetricFamily("auth_mails_sent", "Mails sent by this process", numbers.sent)
    yield CounterMetricFamily("auth_mails_failed", "Times that a mail was not taken and put off", numbers.failed)
    yield CounterMetricFamily(
        "auth_mails_given_up", "Mails refused for good, or too old to be of use", numbers.given_up
    )


class _Snapshot(Collector):
    """What the parts know about themselves right now."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        gauges = self._gauges
        for name, value in gauges.database.numbers().items():
            yield GaugeMetricFamily(f"auth_db_pool_{name}", "Connections of the pool, or what was asked of it", value)
        if gauges.database.replica:
            yield from _replica(gauges.database.replica)
        yield from _hashing(gauges.lane)
        outcomes = CounterMetricFamily("auth_refreshes", "Refresh tokens presented, by outcome", labels=["outcome"])
        for outcome, count in gauges.refreshes.items():
            outcomes.add_metric([outcome], count)
        yield outcomes
        yield from _mail(gauges.mail)
        news = gauges.revocations
        yield GaugeMetricFamily("auth_revocations_stale", "1 while ended sessions are asked for", int(news.is_stale))
        yield GaugeMetricFamily("auth_revocations_remembered", "Ended sessions in memory", news.remembered)
        yield GaugeMetricFamily("auth_verified_tokens", "Access tokens known to be genuine", gauges.keys.remembered)
        deleted = CounterMetricFamily("auth_cleanup_deleted", "Expired sessions deleted by this process's schedule")
        deleted.add_metric([], gauges.cleanup.deleted)
        yield deleted
