"""This machine's clock, by which SQLite's statements and what is judged by them count. Only the test double sets it."""

from datetime import UTC, datetime, timedelta

_ahead = timedelta()


def now() -> datetime:
    return datetime.now(UTC) + _ahead


def ahead() -> timedelta:
    return _ahead


def set_ahead(ahead: timedelta) -> None:
    """Let it be ahead of the machine's by so much, or behind if that is negative."""
    global _ahead  # noqa: PLW0603  # a process has one such clock
    _ahead = ahead
