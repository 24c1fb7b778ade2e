"""Traces: which one a piece of work is part of. Its ids are in each log line; nothing else is kept of it here.

What a span does is nothing, unless `auth_service.telemetry` exports it.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Literal, NamedTuple, Self, TypeAlias

Kind: TypeAlias = Literal["SERVER", "CLIENT", "INTERNAL"]
Attributes: TypeAlias = Mapping[str, str | int | float]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01
_FORBIDDEN_VERSION = "ff"


class Parent(NamedTuple):
    """The span of another service that a request of it belongs to; `state` are its `tracestate` headers."""

    trace_id: int
    span_id: int
    is_sampled: bool
    state: tuple[str, ...] = ()


def parent_in(traceparent: str, state: Sequence[str] = ()) -> Parent | None:
    """Return the parent that a `traceparent` header names, or None if it is not valid (W3C Trace Context, 3.2).

    A version that we do not know is read as far as we know it, as section 4.3 demands.
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == _FORBIDDEN_VERSION or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Parent(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED), tuple(state))


class Span:
    """A piece of work. One of this very class is exported nowhere, and so are its parts."""

    __slots__ = ("_span_id", "_trace_id")
    is_recorded = False

    def __init__(self, trace_id: int, span_id: int) -> None:
        self._trace_id = trace_id
        self._span_id = span_id

    @property
    def trace_id(self) -> str:
        return f"{self._trace_id:032x}"

    @property
    def span_id(self) -> str:
        return f"{self._span_id:016x}"

    def part(self, _name: str, _kind: Kind, _attributes: Attributes | None) -> "Span":
        """Begin a part of this work."""
        return self

    def set(self, name: str, value: str | int | float) -> None:
        """Set an attribute: never what a client has sent, nor what is in the database."""

    def mark(self, event: str) -> None:
        """Tell that something has happened now."""

    def rename(self, name: str) -> None:
        """Replace the name by one that is known only now."""

    def fail(self, kind: str) -> None:
        """Tell that it failed, and by which kind of error; never the error's message."""

    def end(self) -> None:
        """The work is done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        pass


# Of the work that this task is at.
SPAN: ContextVar[Span | None] = ContextVar("span", default=None)

Record: TypeAlias = Callable[[str, Kind, Attributes | None, Parent | None], Span | None]
_NOBODYS = Span(0, 0)
_record: Record | None = None


def export_by(record_: Record | None) -> None:
    """Have spans made by this function from now on, or by none."""
    global _record  # noqa: PLW0603  # one for each process, as its log is
    _record = record_


def is_exported() -> bool:
    """Whether spans may be exported at all."""
    return _record is not None


def record(name: str, kind: Kind, attributes: Attributes | None, parent: Parent | None) -> Span | None:
    """Begin a trace that is exported, or our part of the parent's; None if that is left out, as most are."""
    return _record(name, kind, attributes, parent) if _record else None


def identify(parent: Parent | None) -> Span:
    """Give the log the ids of a trace that is not exported.

    They are the parent's own, if there is one: a span of ours would be found nowhere.
    """
    span = Span(parent.trace_id, parent.span_id) if parent else Span(random.getrandbits(128), random.getrandbits(64))
    SPAN.set(span)
    return span


def begin(name: str, attributes: Attributes | None = None) -> Span:
    """Begin a trace of work that nobody has asked for; this task is at it from now on."""
    return record(name, "INTERNAL", attributes, None) or identify(None)


def span(name: str, kind: Kind = "INTERNAL", attributes: Attributes | None = None) -> Span:
    """Begin a part of the work that this task is at; for a `with` block, or until `end()`."""
    return (SPAN.get() or _NOBODYS).part(name, kind, attributes)
