"""A TCP proxy whose connection a test can slow, silence, break and measure while it is in use."""

import asyncio
import concurrent.futures
import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Self

from .server import free_port

_CHUNK = 65_536
# Linger for zero seconds: closing sends RST instead of FIN.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Mode(enum.Enum):
    PASS = enum.auto()
    REFUSE = enum.auto()
    SILENCE = enum.auto()
    SWALLOW = enum.auto()


class _Connection:
    """One client's connection: its two sockets and who spoke last."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server: socket.socket | None = None
        self.client_spoke_last = False

    def ends(self) -> list[socket.socket]:
        return [end for end in (self.client, self.server) if end is not None]

    def close(self) -> None:
        for end in self.ends():
            end.close()


class TcpProxy:
    """A proxy on a port of 127.0.0.1 to `target_port` of 127.0.0.1; it passes everything until told otherwise.

    Every method that changes its behaviour returns once the change is in force and may be called from any thread.
    As a context manager it runs for the length of the block. The counters count bytes as they arrive at the proxy,
    passed on or not, over all connections; `round_trips` counts the times that a client spoke first or spoke again
    after its server had (so a connection's first bytes are one, and a query on an idle connection is one more).
    """

    def __init__(self, target_port: int) -> None:
        self.bytes_up = 0
        self.bytes_down = 0
        self.round_trips = 0
        self._target = ("127.0.0.1", target_port)
        self.port = free_port()
        self._mode = _Mode.PASS
        self._delay = 0.0
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._running: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name=f"tcp-proxy-{self.port}", daemon=True)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=200)
        self._listener.setblocking(False)
        self._thread.start()
        self._running.result(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """The number of connections that are open now."""
        return len(self._connections)

    def pass_through(self) -> None:
        """Pass everything on without delay, beginning with what `silence` holds."""
        self._switch(_Mode.PASS)

    def refuse(self) -> None:
        """Close new connections at once; those that exist go on."""
        self._switch(_Mode.REFUSE)

    def reset(self) -> None:
        """Break the connections that exist with RST to both ends; the mode for new ones stays."""
        self._call(self._reset())

    def silence(self) -> None:
        """Accept and keep connections but hold all bytes, and the ends of connections, both ways."""
        self._switch(_Mode.SILENCE)

    def swallow_answers(self) -> None:
        """Pass requests on and throw answers away; `bytes_down` tells when one has arrived."""
        self._switch(_Mode.SWALLOW)

    def delay(self, seconds: float) -> None:
        """Pass everything on, but each answer (each chunk that arrives from the server) `seconds` late."""
        self._switch(_Mode.PASS, seconds)

    def reset_counters(self) -> None:
        """Set `bytes_up`, `bytes_down` and `round_trips` to 0."""
        self._call(self._zero())

    def close(self) -> None:
        """Close every connection and the port; may be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(5)
            self._listener.close()

    def _call(self, action: Coroutine[None, None, None]) -> None:
        """Run an action in the proxy's thread and wait for its end, up to 5 seconds."""
        asyncio.run_coroutine_threadsafe(action, self._loop).result(5)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        # Not loop.sock_accept: cancelled at the wrong moment it loses the socket that it has accepted.
        self._loop.add_reader(self._listener, self._accept)
        self._running.set_result(None)
        await self._stop.wait()
        self._loop.remove_reader(self._listener)
        await _cancel(*self._connections)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # the client has gone already
        if self._mode is _Mode.REFUSE:
            client.close()
            return
        client.setblocking(False)
        connection = _Connection(client)
        task = self._loop.create_task(self._connect(connection))
        self._connections[task] = connection
        # Not in the task itself, which never runs when it is cancelled before its first step.
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task).close()

    async def _connect(self, connection: _Connection) -> None:
        await self._audible()
        connection.server = socket.socket()
        connection.server.setblocking(False)
        # Whatever breaks one end, the other is closed.
        with contextlib.suppress(OSError):
            await self._loop.sock_connect(connection.server, self._target)
            await self._exchange(connection, connection.server)

    async def _exchange(self, connection: _Connection, server: socket.socket) -> None:
        """Pass bytes both ways until either end closes."""
        for end in connection.ends():
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up = asyncio.create_task(self._pump_up(connection, server))
        down = asyncio.create_task(self._pump_down(connection, server))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(up, down)

    async def _pump_up(self, connection: _Connection, server: socket.socket) -> None:
        while data := await self._loop.sock_recv(connection.client, _CHUNK):
            self.bytes_up += len(data)
            self.round_trips += not connection.client_spoke_last
            connection.client_spoke_last = True
            await self._audible()
            await self._loop.sock_sendall(server, data)
        await self._audible()

    async def _pump_down(self, connection: _Connection, server: socket.socket) -> None:
        while data := await self._loop.sock_recv(server, _CHUNK):
            self.bytes_down += len(data)
            connection.client_spoke_last = False
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._audible()
            if self._mode is not _Mode.SWALLOW:
                await self._loop.sock_sendall(connection.client, data)
        await self._audible()

    async def _audible(self) -> None:
        """Wait while the proxy is silenced."""
        while self._mode is _Mode.SILENCE:
            await self._changed.wait()

    def _switch(self, mode: _Mode, delay: float = 0.0) -> None:
        self._call(self._set_mode(mode, delay))

    async def _set_mode(self, mode: _Mode, delay: float) -> None:
        self._mode, self._delay = mode, delay
        self._changed.set()
        self._changed.clear()

    async def _reset(self) -> None:
        for connection in self._connections.values():
            for end in connection.ends():
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        await _cancel(*self._connections)

    async def _zero(self) -> None:
        self.bytes_up = self.bytes_down = self.round_trips = 0


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
