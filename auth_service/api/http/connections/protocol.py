"""How bytes become requests: uvicorn's protocol, with an end to each wait for a client, and problems for its refusals.

uvicorn by itself waits for ever for a head and for the reading of an answer, keeps as much of a head as comes, takes
trailers for headers, and refuses in plain text.
"""

import asyncio
from contextvars import copy_context
from typing import Any

import structlog
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uuid_utils import uuid7
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from auth_service.api.http.connections.answer_transport import AnswerTransport
from auth_service.api.http.connections.framing import is_clear, without_origin
from auth_service.api.http.connections.lingering import LingeringClose
from auth_service.api.http.middleware.headers import complete
from auth_service.api.http.middleware.limits import ARRIVED
from auth_service.api.http.problems import BadRequest, BodyTooLarge, HeadersTooLarge, answer
from auth_service.errors import Refused
from auth_service.logs import REQUEST_ID

log = structlog.get_logger()

HEAD_SECONDS = READ_SECONDS = 14  # one less than is promised, for a busy machine
GOODBYE_SECONDS = 2  # for a client that is waited for when the service is told to end
# Beyond what the app refuses by itself with better knowledge (`middleware/limits.py`): these bound the memory. The
# second counts the sizes of chunks too, and leaves room for 16 KiB in chunks of one byte.
HEAD_BYTES = 64 * 1024
MESSAGE_BYTES = 256 * 1024
TARGET_BYTES = HEAD_BYTES - 32  # of a request line; the rest is for its method and its version
REQUESTS_AHEAD = 16


class Protocol(HttpToolsProtocol):
    """One connection.

    A head must be complete within 15 seconds of the connection's start or of the last answer, and an answer read within
    15 seconds; then the connection is gone, whatever is still in its buffers.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._in_head = self._in_body = self._ends = self._lingers = False
        self._bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._answers = AnswerTransport(transport, self._close)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._patience)
        _cancel(self._unread)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refused) else BadRequest())
        self._bytes += len(data)
        if self._in_head and self._bytes > HEAD_BYTES:
            self._refuse(HeadersTooLarge())
        elif self._in_body and self._bytes > MESSAGE_BYTES:
            self._refuse(BodyTooLarge())

    def on_message_begin(self) -> None:
        self._in_head, self._bytes = True, 0
        super().on_message_begin()

    def _parse(self, data: bytes) -> None:
        """Read what has come; raises `HttpParserError` at what cannot be read, or is refused below."""
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                data = self._without_offer() + data[offer.args[0] :]
            else:
                return

    def _without_offer(self) -> bytes:
        """Return the head of a request that offers to speak something else, without that offer, for a new parser.

        The offer is ignored (RFC 9110, section 7.8). The parser takes what follows for the other protocol.
        """
        head = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        return b"\r\n".join([*head, b"\r\n"])

    def on_headers_complete(self) -> None:
        """Begin the request. What this raises, the parser reports as the cause of its own error."""
        clear = is_clear(self.parser.get_method(), self.parser.get_http_version(), self.url, self.headers)
        if len(self.url) > TARGET_BYTES:
            raise HeadersTooLarge
        if not clear or len(self.pipeline) >= REQUESTS_AHEAD:
            raise BadRequest
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":  # which asks a proxy for a tunnel
                raise BadRequest
            return
        if absolute := without_origin(self.parser.get_method(), self.url):
            host, self.url = absolute
            self.headers[:] = [(b"host", host), *(header for header in self.headers if header[0] != b"host")]
        super().on_headers_complete()
        self.cycle.transport = self._answers  # type: ignore[assignment]  # all that the cycle asks of one
        self._in_head, self._in_body = False, True
        _cancel(self._patience)
        self.headers = []  # for trailers, which are no headers: no gateway has looked at them (RFC 9110, section 6.5.1)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body = False
        self.scope[ARRIVED] = True  # type: ignore[literal-required]  # a name of ours
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._answers.end()
        super().on_response_complete()
        if self.cycle.response_complete:  # else the next request was there already and is being answered
            self._wait_for_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(GOODBYE_SECONDS if self._ends else READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._unread)

    def shutdown(self) -> None:
        self._ends = True
        super().shutdown()
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body or self.flow.write_paused:
            self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)
        app: Any = self.config.loaded_app
        app.state.services.revocations.release()  # who waits for news on this connection would hold up the end

    def _close(self) -> None:
        """Close the connection after the last answer, which a client that is still sending can read first."""
        if self._in_body:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        if self.pipeline:  # earlier requests whose answers are given up
            self.transport.close()
        elif not self._lingers and not self.transport.is_closing():
            self._lingers = True
            if self.cycle is not None and not self.cycle.response_complete:  # its app is told that the client is gone
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            LingeringClose(self.transport, self)
            self.flow.resume_reading()

    def _wait_for_head(self) -> None:
        _cancel(self._patience)
        # Not close(), which would wait for the other side to read what has been written.
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _refuse(self, refused: Refused) -> None:
        """Answer and hang up: what follows can no longer be told from the next request."""
        if not self._lingers and not self.transport.is_closing():
            copy_context().run(self._hang_up, refused)  # the request's id is that of no other

    def _hang_up(self, refused: Refused) -> None:
        request_id = str(uuid7())
        REQUEST_ID.set(request_id)
        log.info("request.refused", code=refused.code)
        if self._is_next_to_be_answered():
            self.transport.write(self._written(refused, request_id))
        elif not self._in_body:  # the requests before it are whole: they are answered, and then it ends
            self.cycle.keep_alive = False
            return
        self._wait_for_head()  # it may not read what was written
        self._linger()

    def _is_next_to_be_answered(self) -> bool:
        """Whether a refusal now could not be taken for the answer to an earlier request."""
        if self._in_body:
            return not self.pipeline and not self.cycle.response_started
        return self.cycle is None or self.cycle.response_complete

    def _written(self, refused: Refused, request_id: str) -> bytes:
        app: Any = self.config.loaded_app
        response = answer(refused, app.state.services.settings.base_url, {"Connection": "close"})
        lines = [*self.server_state.default_headers, *complete(response.status_code, response.raw_headers, request_id)]
        head = b"".join(b"%s: %s\r\n" % line for line in lines)
        return STATUS_LINE[response.status_code] + head + b"\r\n" + bytes(response.body)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()
