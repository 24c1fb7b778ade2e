"""The end of a connection whose client is still sending when its last answer has been written.

A socket that is closed with bytes unread is reset, and the other side loses what it has not read yet: our answer.
"""

import asyncio

LINGER_SECONDS = 4  # with the ten of a slow body, no more than what a head may take
LINGER_BYTES = 8 * 1024 * 1024


class LingeringClose(asyncio.Protocol):
    """Half-closes the connection, and throws away what still comes until the client hangs up (RFC 9112, section 9.6).

    That has an end: after four seconds, or 8 MiB, the connection is closed. What the transport tells besides is passed
    on to the protocol that had the connection before.
    """

    def __init__(self, transport: asyncio.Transport, before: asyncio.Protocol) -> None:
        self._transport = transport
        self._before = before
        self._left = LINGER_BYTES
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.close)
        transport.set_protocol(self)
        if transport.can_write_eof():
            transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._before.connection_lost(exc)
