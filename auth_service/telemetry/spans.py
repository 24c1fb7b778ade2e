"""Spans as OpenTelemetry's SDK makes them. They hold what our own code says of its work, and no exception's message."""

import random
from contextvars import Token
from typing import Self

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as SdkSpan

from auth_service import __version__
from auth_service.errors import Refused, Unavailable
from auth_service.tracing import SPAN, Attributes, Kind, Parent, Span

LONGEST_STATE = 512  # characters; W3C Trace Context, 3.3.1.5: at least so many should be propagated
_NO_PARENT = Context()


class ChosenIds(IdGenerator):
    """Gives the next trace the id that was drawn for it: the sampler judges by that."""

    def __init__(self) -> None:
        self.trace_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return random.getrandbits(64) or 1


class Spans:
    """Begins traces."""

    def __init__(self, provider: TracerProvider, ids: ChosenIds) -> None:
        self._tracer = provider.get_tracer("auth_service", __version__)
        self._ids = ids
        sampler = provider.sampler
        root = getattr(sampler, "_root", None) if isinstance(sampler, ParentBased) else sampler
        self._bound = root.bound if type(root) is TraceIdRatioBased else TraceIdRatioBased.TRACE_ID_LIMIT + 1

    def record(self, name: str, kind: Kind, attributes: Attributes | None, parent: Parent | None) -> Span | None:
        """Begin a trace, or our part of the parent's; None if the sampler leaves it out.

        A share of all traces is drawn here, before the SDK does for each what takes as long as half a verification.
        """
        if not parent:
            drawn = self._ids.trace_id = random.getrandbits(128)  # no secret, only rare
            if drawn & TraceIdRatioBased.TRACE_ID_LIMIT >= self._bound:
                return None
        context = _context(parent) if parent else _NO_PARENT
        started = self._tracer.start_span(name, context, SpanKind[kind], attributes)
        return RecordedSpan(self._tracer, started) if started.is_recording() else None


class RecordedSpan(Span):
    """One that is exported when it ends. In a `with` block, it is what the task is at."""

    __slots__ = ("_around", "_span", "_tracer")
    is_recorded = True

    def __init__(self, tracer: Tracer, span: SdkSpan) -> None:
        context = span.get_span_context()
        super().__init__(context.trace_id, context.span_id)
        self._tracer = tracer
        self._span = span
        self._around: Token[Span | None] | None = None

    def part(self, name: str, kind: Kind, attributes: Attributes | None) -> Span:
        context = set_span_in_context(self._span, _NO_PARENT)
        return RecordedSpan(self._tracer, self._tracer.start_span(name, context, SpanKind[kind], attributes))

    def set(self, name: str, value: str | int | float) -> None:
        self._span.set_attribute(name, value)

    def mark(self, event: str) -> None:
        self._span.add_event(event)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        self._span.end()

    def __enter__(self) -> Self:
        self._around = SPAN.set(self)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._around:
            SPAN.reset(self._around)
        if _is_fault(error):
            self.fail(type(error).__qualname__)
        elif error:
            self.set("error.type", type(error).__qualname__)
        self.end()


def _context(parent: Parent) -> Context:
    """As the SDK's own propagator makes it; a `tracestate` that is not valid is left out, and the parent stays."""
    state = TraceState.from_header(list(parent.state)) if len(",".join(parent.state)) <= LONGEST_STATE else None
    context = SpanContext(
        trace_id=parent.trace_id,
        span_id=parent.span_id,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT),
        trace_state=state,
    )
    return set_span_in_context(NonRecordingSpan(context), _NO_PARENT)


def _is_fault(error: BaseException | None) -> bool:
    """Whether something did not work: neither a refusal, which is an answer, nor a client that has gone."""
    return isinstance(error, Unavailable) or (isinstance(error, Exception) and not isinstance(error, Refused))
