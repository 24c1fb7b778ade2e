"""A process that has imported the service, and forks itself for each command that a test starts.

Importing costs more than nearly every command does. Each fork is a process as any other, with arguments, environment,
folder, session, output, signals and an exit code of its own, and it runs `auth_service/__main__.py`.

Protocol, over the socket that is standard input: a JSON message with two descriptors for the output and one of a
socket, which hears the pid and, at the end, the return code. It ends when nobody holds the other end any more.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import threading
import time
from typing import Any

from auth_service.cli import WORDS

LARGEST = 100_000  # bytes of a message: environment and arguments
_PARTS = (
    *(f"auth_service.cli.{word}" for word in WORDS),
    "auth_service.main",
    "auth_service.api.http.connections.protocol",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvloop",
)


class _Children:
    """The forks that live, and who is to hear of their ends."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(requests, selectors.EVENT_READ)

    def next_request(self) -> dict[str, Any]:
        """Serve requests; returns one, in the child that is to do it, and never in the parent."""
        while True:
            for key, _ in self._waiting.select():
                if key.fileobj is not self._requests:
                    self._bury(key)
                elif (request := self._fork()) is not None:
                    return request

    def _fork(self) -> dict[str, Any] | None:
        message, descriptors, _, _ = socket.recv_fds(self._requests, LARGEST, 3)
        if not message:
            sys.exit(0)
        pid = _fork_into_session()
        if pid == 0:
            self._forget()
            return {**json.loads(message), "descriptors": descriptors}
        self._watch(pid, descriptors)
        return None

    def _watch(self, pid: int, descriptors: list[int]) -> None:
        *output, listener = descriptors
        for descriptor in output:
            os.close(descriptor)
        heard_by = socket.socket(fileno=listener)
        _tell(heard_by, pid)
        self._waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, heard_by))

    def _bury(self, key: selectors.SelectorKey) -> None:
        pid, heard_by = key.data
        self._waiting.unregister(key.fileobj)
        os.close(key.fd)
        _, status = os.waitpid(pid, 0)
        with heard_by:
            _tell(heard_by, os.waitstatus_to_exitcode(status))

    def _forget(self) -> None:
        """In a child: close what is the parent's alone."""
        for key in list(self._waiting.get_map().values()):
            if key.fileobj is not self._requests:
                os.close(key.fd)
                key.data[1].close()
        self._waiting.close()
        self._requests.close()


def _fork_into_session() -> int:
    """Fork; the pid that the parent gets leads a session already, so that whoever hears of it can signal its group."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
    os.close(writing)
    if pid:
        os.read(reading, 1)  # until the child has closed its end too
    os.close(reading)
    return pid


def _tell(listener: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # whoever listened may have ended
        listener.sendall(f"{number}\n".encode())


def _become(request: dict[str, Any]) -> None:
    """Take on in this process what the command was to be started with."""
    output, errors, listener = request["descriptors"]
    os.close(listener)
    for target, descriptor in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, errors)):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = ["auth_service", *request["arguments"]]
    sys.path[0] = request["cwd"]


def _ready() -> socket.socket:
    """Import all that commands need, and return where requests come from."""
    for part in _PARTS:
        importlib.import_module(part)
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, "a fork would lose the other threads"
    return socket.socket(fileno=os.dup(0))


if __name__ == "__main__":
    _become(_Children(_ready()).next_request())
    runpy.run_module("auth_service", run_name="__main__", alter_sys=True)
