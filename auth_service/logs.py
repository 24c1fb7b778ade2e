"""Structured logs: one event a line, JSON in production, readable in a terminal, nothing told in secret."""

import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO
from uuid import UUID

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor, WrappedLogger

from auth_service.settings import LogSettings
from auth_service.tracing import SPAN

# Their lines repeat what our own events say, or hold values; what goes wrong in them is still told.
QUIET = (
    "asyncio", "aiosqlite", "sqlalchemy.engine", "sqlalchemy.pool", "alembic", "apscheduler", "uvicorn.access",
    "urllib3",
)  # fmt: skip

# Of the request that is being answered, for its answer and for all that is told meanwhile.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
USER_ID: ContextVar[UUID | None] = ContextVar("user_id", default=None)  # once it is known whose request it is


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send our events and every library's log records through the same processors to `stream` (standard output).

    Our own are rendered at once and written, without a record of the standard library's: there is one for each request.
    """
    stream = stream or sys.stdout
    as_console = settings.format == "console" or (settings.format is None and stream.isatty())
    shared: list[Processor] = [
        _ids,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _frames_without_values,
        _one_line,
    ]
    render: Processor = structlog.dev.ConsoleRenderer(pad_event_to=0) if as_console else _json
    handler = logging.StreamHandler(stream)
    lines = _Lines(handler)
    structlog.configure(
        processors=[*shared, render],
        logger_factory=lambda *_: lines,
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_foreign_message, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    # With DB_ECHO, SQLAlchemy prints by itself, in lines of its own, unless its logger has a handler already.
    logging.getLogger("sqlalchemy.engine.Engine").handlers[:] = [logging.NullHandler()]
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Lines:
    """Writes finished lines where the libraries' records go, whole and under the same lock; it never fails either."""

    def __init__(self, handler: "logging.StreamHandler[TextIO]") -> None:
        self._handler = handler
        self._lock = handler.lock or threading.RLock()

    def _write(self, line: str) -> None:
        with self._lock:
            try:
                self._handler.stream.write(line + "\n")
                self._handler.stream.flush()
            except (OSError, ValueError):  # a full disk, say: told on standard error, and no request fails for it
                self._handler.handleError(logging.makeLogRecord({"msg": "a line could not be written"}))

    debug = info = warning = error = critical = _write


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """In ASCII, whatever the encoding of the stream."""
    told = {name: value if type(value) in _PLAIN else _told(value) for name, value in event.items()}
    return to_json(told, ensure_ascii=True).decode()


_PLAIN = {str, int, float, bool, type(None)}


def _told(value: Any) -> Any:
    """A value as it may be written: one that is not of JSON as Python writes it, which leaves out what is secret."""
    if isinstance(value, str):
        return escaped(str.__str__(value))
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, Mapping):
        return {escaped(str(name)): _told(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(part) for part in value]
    return escaped(repr(value))


def _ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    if span := SPAN.get():
        event.setdefault("trace_id", span.trace_id)
        event.setdefault("span_id", span.span_id)
    return event


def _frames_without_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Tell an exception by its type and its frames. Its message is left out: drivers quote values in theirs."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, BaseException):
        found = (type(found), found, found.__traceback__)
    if found and found[0] is not None:
        event["exception"] = found[0].__qualname__
        event["frames"] = _frames(found[2])
        event["caused_by"] = causes_of(found[1])
    event.pop("exc_text", None)
    return event


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]


def causes_of(error: BaseException | None) -> list[str]:
    """The chain of an exception's causes: type names, and the SQLSTATE, or SQLite's name of it, where there is one."""
    causes = []
    while error := (error.__cause__ or error.__context__ if error else None):
        code = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
        causes.append(" ".join(filter(None, [type(error).__qualname__, code])))
    return causes


def _foreign_message(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    return {"logger": record.name if record else "", **event}


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what could end a line or colour a terminal; an attacker's header must not write log lines of its own."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = escaped(value)
    return event


def escaped(value: Any) -> Any:
    if isinstance(value, str) and not value.isprintable():
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    return value
