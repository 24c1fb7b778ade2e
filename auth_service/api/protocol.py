"""How bytes become requests: uvicorn's protocol, with an end to each wait for a head, and problems for its refusals.

uvicorn by itself waits for the head of a request for ever, keeps as much of it as comes, and refuses in plain text.
"""

import asyncio
from typing import Any

import structlog
from uuid_utils import uuid7
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from auth_service.api.problems import BadRequest, HeadersTooLarge, answer
from auth_service.errors import Refused

log = structlog.get_logger()

HEAD_SECONDS = 15
# Beyond what the app refuses by itself with better knowledge (`api/middleware.py`): this bounds the memory.
HEAD_BYTES = 64 * 1024


class Protocol(HttpToolsProtocol):
    """One connection. A head must be complete within 15 seconds of the connection's start or of the last answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self._refuse(HeadersTooLarge())

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # else the next request was there already and is being answered
            self._wait_for_head()

    def shutdown(self) -> None:
        super().shutdown()
        app: Any = self.config.loaded_app
        app.state.services.revocations.release()  # who waits for news on this connection would hold up the end

    def send_400_response(self, msg: str) -> None:  # uvicorn's sentence for every defect
        self._refuse(BadRequest())

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience:
            self._patience.cancel()

    def _refuse(self, refused: Refused) -> None:
        """Answer and hang up: what follows can no longer be told from the next request."""
        app: Any = self.config.loaded_app
        request_id = str(uuid7())
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            log.info("request.refused", code=refused.code)
            headers = {"Connection": "close", "Cache-Control": "no-store", "X-Request-ID": request_id}
            response = answer(refused, app.state.services.settings.base_url, headers)
        lines = [*self.server_state.default_headers, *response.raw_headers]
        head = b"".join(b"%s: %s\r\n" % line for line in lines)
        self.transport.write(STATUS_LINE[response.status_code] + head + b"\r\n" + bytes(response.body))
        self.transport.close()
