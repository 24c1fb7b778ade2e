"""Where the session is kept between two calls: in memory, or in a file for all processes of one user."""

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from auth_service_client.errors import AuthError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PATIENCE = 5  # seconds; nobody holds a store for longer than it takes to write a file
Saved = dict[str, Any]


class Store(Protocol):
    """Keeps one session, as a dictionary that can be written as JSON; it is empty while nobody is signed in."""

    def open(self) -> AbstractContextManager[Saved]:
        """Lend what is kept to a block that no other thread or process is in, and keep what the block made of it, or
        raise. It is never held during a call to the service.
        """
        ...


class AsyncStore(Protocol):
    """The same for an `AsyncAuthClient`, such as a row of a database with an asynchronous driver."""

    def open(self) -> AbstractAsyncContextManager[Saved]:
        """As `Store.open()` has it, for `async with`."""
        ...


class MemoryStore:
    """For one process: the session ends with it."""

    def __init__(self) -> None:
        self._saved: Saved = {}
        self._lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[Saved]:
        with self._lock:
            yield self._saved


class FileStore:
    """A file that nobody but its owner may read, for several processes on one machine (Linux, macOS). One that others
    may read, such as after a copy, is closed to them when it is used.

    `path` may begin with `~`; folders that are missing are made. The process may go to another folder later.
    Links are followed, so that whoever comes by another one shares the session; a hard link would be a copy.

    Raises:
        AuthError: the system lacks `fcntl`, such as Windows.
        ValueError: there is something that is no file, such as a folder or a device.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if fcntl is None:
            raise AuthError("FileStore needs fcntl, which this system lacks: keep the session in a Store of yours")
        try:
            self._path = Path(path).expanduser().absolute()
        except RuntimeError as error:  # the folder of a user who is unknown
            raise ValueError(str(error)) from error
        self._file()

    @contextmanager
    def open(self) -> Iterator[Saved]:
        """As `Store.open()` has it.

        Raises:
            TimeoutError: another process has held the file for five seconds.
            OSError: it cannot be read or written. What was kept is still there.
            ValueError: it is no file any more.
        """
        path = self._file()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(path):
            saved = _read(path)
            before = dict(saved)
            yield saved
            if saved != before:
                _write(path, saved)

    def _file(self) -> Path:
        """The file that links lead to: to replace a link itself would leave a copy of the session behind it."""
        real = Path(os.path.realpath(self._path))
        if real.exists() and not real.is_file():
            raise ValueError(f"{self._path} is no file")
        return real


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Beside the file, which is replaced with each change."""
    with os.fdopen(os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as lock:
        give_up_at = time.monotonic() + PATIENCE
        while not _locked(lock.fileno()):
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{path} is locked by another process")
            time.sleep(0.01)
        yield


def _read(path: Path) -> Saved:
    """A file that was cut off by a full disk is no session: it was never written by `_write`."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                os.fchmod(file.fileno(), 0o600)  # it came from elsewhere, such as a backup
            return json_object(file.read())
    except FileNotFoundError:
        return {}


def json_object(text: bytes | bytearray) -> dict[str, Any]:
    """Return the object that is written there; an empty one if it is none, or nested too deeply."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, saved: Saved) -> None:
    """Whole or not at all, also if the power fails."""
    draft = Path(f"{path}.new")
    draft.unlink(missing_ok=True)  # one that is left may be readable by others, or lead elsewhere
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(draft, new, 0o600), "w", encoding="utf-8") as file:
            json.dump(saved, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
