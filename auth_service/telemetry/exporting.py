"""Sends spans to a collector, by OTLP over HTTP: from a thread of its own, so that nobody waits for it."""

import asyncio
import logging
import threading
from collections.abc import Sequence

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from auth_service import __version__, tracing
from auth_service.telemetry.spans import ChosenIds, Spans

log = structlog.get_logger()

FLUSH_SECONDS = 2.0  # at the end of a process, for what has not been sent


class Exporting:
    """The spans of one process. Nothing is sent before `start()`, which begins a thread: no fork may come after it."""

    def __init__(self) -> None:
        _listen_to_the_sdk()
        ids = ChosenIds()
        self._provider = TracerProvider(resource=_resource(), id_generator=ids, shutdown_on_exit=False)
        self._exporter = _Exporter(OTLPSpanExporter())
        tracing.export_by(Spans(self._provider, ids).record)

    def start(self) -> None:
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        log.info("telemetry.started")

    async def stop(self) -> None:
        """Send what is left, for as long as a collector may take that does not answer."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(done.set)

        # A daemon, unlike the threads of the loop's executor: the process ends without it.
        threading.Thread(target=shut_down, name="telemetry", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await done.wait()
        except TimeoutError:
            log.warning("telemetry.not_flushed", seconds=FLUSH_SECONDS)


class _Exporter(SpanExporter):
    """Tells of a collector that is lost once, and once when it is back, however many exports fail meanwhile."""

    def __init__(self, otlp: OTLPSpanExporter) -> None:
        self._otlp = otlp
        self._is_lost = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._otlp.export(spans)
        is_lost = result is not SpanExportResult.SUCCESS
        if is_lost and not self._is_lost:
            log.warning("telemetry.collector_lost", spans=len(spans))
        elif self._is_lost and not is_lost:
            log.info("telemetry.collector_back")
        self._is_lost = is_lost
        return result

    def shutdown(self) -> None:
        self._otlp.shutdown()  # type: ignore[no-untyped-call]  # as they wrote it

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._otlp.force_flush(timeout_millis)


class _FirstOfEachKind(logging.Handler):
    """Logs what the SDK says, each of its sentences once and without the values in it: a header of ours is a secret."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        said = str(record.msg)
        if said not in self._told:
            self._told.add(said)
            log.warning("telemetry.sdk", said=said)


def _listen_to_the_sdk() -> None:
    sdk = logging.getLogger("opentelemetry")
    sdk.handlers[:] = [_FirstOfEachKind()]
    sdk.propagate = False
    # What the exporter says of each failure is ours to say. So is what its HTTP client says.
    logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").setLevel(logging.CRITICAL)


def _resource() -> Resource:
    """What all spans of this process have in common; the environment's word counts before ours."""
    given = OTELResourceDetector().detect().attributes
    ours = {SERVICE_NAME: "auth-service", SERVICE_VERSION: __version__}
    return Resource.create({name: value for name, value in ours.items() if name not in given})
