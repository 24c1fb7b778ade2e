"""Each request as a span, by OpenTelemetry's conventions for HTTP servers, and as a part of the trace of its gateway.

Not by all of them: a path, a query, a Host or an address is a client's text, and may be a token. The route says enough.
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_service import tracing
from auth_service.api.requests.client import is_trusted
from auth_service.settings import ProxySettings

METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
RECORDED = "auth_service.recorded"  # in the scope: there is a span of this request
FAULTS = 500  # and above are failures of a server; what is refused below that is the client's


class Traces:
    """Around each request, if spans are exported: before the framework, and before what stands before that."""

    def __init__(self, app: ASGIApp, proxy: ProxySettings) -> None:
        self._app = app
        self._proxy = proxy

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """No coroutine of its own for what is not recorded, which is most: a verification takes little longer."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        attributes = {
            "http.request.method": method,
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
        }
        span = tracing.record(_name(method), "SERVER", attributes, parent_of(scope, self._proxy))
        if not span:
            return self._app(scope, receive, send)
        scope[RECORDED] = True
        return self._tell(span, method, scope, receive, send)

    async def _tell(self, span: tracing.Span, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                span.set("http.response.status_code", status)
                if status >= FAULTS:
                    span.fail(str(status))
            await send(message)

        with span:
            try:
                await self._app(scope, receive, watch)
            finally:
                if route := getattr(scope.get("route"), "path", None):
                    span.set("http.route", route)
                    span.rename(f"{_name(method)} {route}")


def give_ids(scope: Scope, proxy: ProxySettings) -> None:
    """Have what is logged of this request tell its trace, if no span sees to that."""
    if RECORDED not in scope:
        tracing.identify(parent_of(scope, proxy))


def parent_of(scope: Scope, proxy: ProxySettings) -> tracing.Parent | None:
    """The span that a trusted proxy names, if it names one: anybody else could write into the traces of others."""
    if not proxy.trusted or not scope["client"] or not is_trusted(scope["client"][0], proxy):
        return None
    return _parent_in(scope)


def told_trace(scope: Scope) -> dict[str, str]:
    """What the request's line says of a trace that somebody names whom we do not trust: its id, under another name."""
    parent, ours = _parent_in(scope), tracing.SPAN.get()
    trace_id = f"{parent.trace_id:032x}" if parent else None
    return {"client_trace_id": trace_id} if trace_id and ours and trace_id != ours.trace_id else {}


def _parent_in(scope: Scope) -> tracing.Parent | None:
    given = [value for name, value in scope["headers"] if name == b"traceparent"]
    if len(given) != 1:
        return None
    state = [value.decode("latin-1") for name, value in scope["headers"] if name == b"tracestate"]
    return tracing.parent_in(given[0].decode("latin-1").strip(" \t"), state)


def _name(method: str) -> str:
    return "HTTP" if method == "_OTHER" else method
