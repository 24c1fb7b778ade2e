"""The tables, and the pure rules about them. A rule never reads a clock: it is told the time."""

from auth_service.models.keys import PUBLISHED_FIRST, RETIRED_FOR, KeyStep, due_steps
from auth_service.models.sessions import (
    FAST_FORWARD_LIMIT,
    IDEMPOTENCY_WINDOW,
    ROTATIONS_KEPT,
    EndReason,
    OwnSession,
    Session,
    SessionRules,
    Verdict,
    judge,
)
from auth_service.models.tables import (
    DELETED_SESSIONS,
    REFRESH_TOKENS,
    SIGNING_KEYS,
    USERS,
    DeletedSession,
    KeyState,
    RefreshToken,
    SigningKey,
    User,
)
from auth_service.models.types import UtcDateTime

__all__ = [
    "DELETED_SESSIONS",
    "FAST_FORWARD_LIMIT",
    "IDEMPOTENCY_WINDOW",
    "PUBLISHED_FIRST",
    "REFRESH_TOKENS",
    "RETIRED_FOR",
    "ROTATIONS_KEPT",
    "SIGNING_KEYS",
    "USERS",
    "DeletedSession",
    "EndReason",
    "KeyState",
    "KeyStep",
    "OwnSession",
    "RefreshToken",
    "Session",
    "SessionRules",
    "SigningKey",
    "User",
    "UtcDateTime",
    "Verdict",
    "due_steps",
    "judge",
]
