"""A connection as its answers have it: an answer's head leaves with the beginning of its body, in one packet."""

import asyncio
from collections.abc import Callable

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # which uvicorn writes before an answer, and a client waits for


class AnswerTransport:
    """Writes the head of an answer together with what follows, as ASGI demands; two packets cost twice as much.

    Closing the connection is left to the protocol: the request may not have arrived whole.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.is_closing = transport.is_closing
        self._write = transport.write
        self._close = close
        self._head = b""
        self._begins = True  # the next that is written is a head

    def write(self, data: bytes) -> None:
        """Write the next part of an answer. That of a body may be empty: then the head is not kept any longer."""
        if self._begins and data != CONTINUE:
            self._begins, self._head = False, data
        elif self._head:
            self._write(self._head + data)
            self._head = b""
        else:
            self._write(data)

    def end(self) -> None:
        """The answer is complete, and another one may follow. One to HEAD has no body."""
        self._flush()
        self._begins = True

    def close(self) -> None:
        """What has been written is sent before."""
        self._flush()
        self._close()

    def _flush(self) -> None:
        if self._head:
            self._write(self._head)
            self._head = b""
