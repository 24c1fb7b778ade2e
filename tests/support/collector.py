"""A collector of traces: OTLP over HTTP on loopback, as OpenTelemetry's protocol says, with what it was sent."""

import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

from .polling import eventually


@dataclass(frozen=True)
class Told:
    """A span as it was sent."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    is_error: bool
    attributes: dict[str, Any]
    events: list[str]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What was sent: `spans`, and the `bodies` that they came in, unzipped. `port` is where it listens."""

    port: int = 0
    spans: list[Told] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    encodings: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def wait_for(self, name: str, number: int = 1) -> list[Told]:
        """Return the spans of this name, when there are so many at least; they may be sent before their parts."""

        async def have_come() -> bool:
            return len(self.named(name)) >= number

        await eventually(have_come)
        return self.named(name)

    def named(self, name: str) -> list[Told]:
        return [span for span in self.spans if span.name == name]

    def parts_of(self, parent: Told) -> list[Told]:
        return [span for span in self.spans if (span.trace_id, span.parent_id) == (parent.trace_id, parent.span_id)]

    def take(self, body: bytes, encoding: str) -> None:
        """Raises if the body is not what the protocol says."""
        raw = gzip.decompress(body) if encoding == "gzip" else body
        request = ExportTraceServiceRequest.FromString(raw)
        self.bodies.append(raw)
        self.encodings.add(encoding)
        for group in request.resource_spans:
            resource = _attributes(group.resource.attributes)
            self.spans += [_told(span, resource) for scope in group.scope_spans for span in scope.spans]


@contextlib.contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.take(body, self.headers.get("Content-Encoding", "identity"))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        kept.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


def _told(span: Message, resource: dict[str, Any]) -> Told:
    return Told(
        name=span.name,
        kind=Message.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        state=span.trace_state,
        is_error=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        events=[event.name for event in span.events],
        resource=resource,
    )


def _attributes(found: "list[KeyValue] | Any") -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in found}
