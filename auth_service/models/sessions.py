"""What a session is, and the pure rules about it. A rule never reads a clock: it is told the time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self
from uuid import UUID

from auth_service.models.devices import UNKNOWN_DEVICE, Device
from auth_service.settings import Settings

ROTATIONS_KEPT = 8  # times of the last rotations in the row; more as long as they are within the grace
MOST_ROTATIONS = 60  # within the grace: whoever wants more gets the same token again
FAST_FORWARD_LIMIT = 3
IDEMPOTENCY_WINDOW = timedelta(hours=24)
REPLAYS_TOLD = 10  # of a session in a day: a phone on the move answers some of its requests twice


class EndReason(StrEnum):
    """Why a session ended: kept on its row and told in one security event, never to the refused client."""

    LOGOUT = "logout"
    REUSE = "reuse"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # a reason, not a password
    USER_DISABLED = "user_disabled"
    USER_DELETED = "user_deleted"
    EVICTED = "evicted"
    ADMIN = "admin"
    FACTOR_REQUIRED = "factor_required"  # opened by a password alone, before its user had to have a factor
    FACTOR_ADDED = "factor_added"  # the first one of the account: a password alone opened them
    FACTORS_RESET = "factors_reset"


class SessionRules(NamedTuple):
    """How long a session may be used, and how long a spent token is still answered."""

    grace: timedelta
    idle_lifetime: timedelta
    absolute_lifetime: timedelta
    max_per_user: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        tokens = settings.tokens
        lives = (tokens.refresh_idle_lifetime, tokens.refresh_absolute_lifetime)
        return cls(tokens.refresh_grace, *lives, settings.sessions.max_per_user)


class SessionState(NamedTuple):
    """What a rule judges: a session and its user as one statement read them, and the database's clock then."""

    id: UUID
    user_id: UUID
    role: str
    credential_is_current: bool
    generation: int
    rotations: Sequence[datetime]
    idempotency_hash: bytes | None
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    now: datetime
    authenticated_at: datetime
    acr: str
    amr: str
    idempotency_spent: bool = False
    """Whether the key is good for no retry: it came with an earlier token too, or not with the last rotation."""
    rotated_from: Device = UNKNOWN_DEVICE
    """Where the last rotation came from; unknown if an older service rotated it."""
    told_generation: int | None = None
    """The last rotation that the trail tells of a replay from elsewhere of."""

    def is_retried_with(self, idempotency_hash: bytes | None) -> bool:
        """Whether this is the key that came with the last rotation, and with that one alone."""
        return idempotency_hash is not None and idempotency_hash == self.idempotency_hash and not self.idempotency_spent

    @property
    def rotated_by(self) -> dict[str, str]:
        """Where the last rotation came from, as the trail has it: no more than is known."""
        known = {"rotated_ip": self.rotated_from.ip, "rotated_user_agent": self.rotated_from.user_agent}
        return {name: value for name, value in known.items() if value is not None}

    def is_told(self, device: Device) -> bool:
        """Whether the trail needs no word of a replay from there: it came from where the rotation came from, or it is
        told already.
        """
        rotated = self.rotated_from
        return (device.is_near(rotated) and device.is_alike(rotated)) or self.told_generation == self.generation

    def is_rotated_too_often(self, rules: SessionRules) -> bool:
        """Whether one more rotation might push a time out of the row that is within the grace.

        The token of that time could not be answered any more. A time in the future, which a clock that stepped back
        has left, holds nothing up. The statement that rotates judges the same.
        """
        if len(self.rotations) < MOST_ROTATIONS:
            return False
        return timedelta(0) <= self.now - self.rotations[MOST_ROTATIONS - 1] < rules.grace

    def has_ended(self, rules: SessionRules) -> bool:
        """Whether it was ended, has expired, or was opened with credentials that have changed since."""
        is_over = self.now >= self.usable_until(rules)
        return self.revoked_at is not None or not self.credential_is_current or is_over

    def usable_until(self, rules: SessionRules) -> datetime:
        """The end of the absolute life, or of the idle life if nothing is refreshed before; whichever is sooner."""
        return min(self.expires_at, self.last_used_at + rules.idle_lifetime)


def hour_of(time: datetime) -> datetime:
    """The beginning of the hour of a time in UTC."""
    return time.replace(minute=0, second=0, microsecond=0)


class SessionView(NamedTuple):
    """A session as its owner sees it: columns of `RefreshToken`, and whether it is the one that asks (`current`).

    `last_used_at` is what `told_use()` makes of it.
    """

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str | None
    ip: str | None
    revoked_at: datetime | None
    revoked_reason: str | None
    current: bool


class Verdict(StrEnum):
    """What a refresh token turned out to be. Only the first three are answered with tokens."""

    ROTATED = "rotated"  # current, or ahead by what a failover can have lost
    UNCHANGED = "unchanged"  # the same, of a session that was rotated too often; answered with the current token
    REPLAY = "replay"  # spent a moment ago: a retry, a second tab, a lost answer; answered with the current token
    REUSE = "reuse"  # spent long ago: two parties hold this session
    ENDED = "ended"
    AHEAD = "ahead"  # newer than any rotation that a failover can have lost
    RACE = "race"  # current and alive, so it should have rotated: try again
    UNKNOWN = "unknown"  # well made, but its session is gone
    FORGED = "forged"  # not of our making


def told_use(created_at: datetime, earlier_used_at: datetime | None, last_used_at: datetime, now: datetime) -> datetime:
    """What a bearer may know of the last use of a session: the hour of the last one before the current hour.

    It changes only on the hour. A thief who polls it does not see when the owner rotates, which would tell him when a
    spent token is answered.
    """
    used_at = last_used_at if last_used_at < hour_of(now) else earlier_used_at or created_at
    return hour_of(used_at)


def judge(
    session: SessionState, generation: int, idempotency_hash: bytes | None, rules: SessionRules, device: Device
) -> Verdict:
    """Decide about a token of `generation` that the guarded update did not accept.

    The end of a session beats the grace. The bound on the grace also holds for the immediate parent: a thief who stays
    one step behind is caught. So is one who follows within the grace from another network and another user agent than
    those of the rotation, without the key that came with it.
    """
    if session.has_ended(rules):
        return Verdict.ENDED
    behind = session.generation - generation
    if behind < -FAST_FORWARD_LIMIT:
        return Verdict.AHEAD
    if behind <= 0:
        return Verdict.UNCHANGED if session.is_rotated_too_often(rules) else Verdict.RACE
    superseded = session.rotations[behind - 1] if behind <= len(session.rotations) else None
    if superseded is None:
        return Verdict.REUSE
    age = session.now - superseded
    is_retried = session.is_retried_with(idempotency_hash)
    if age >= rules.grace:
        return Verdict.REPLAY if behind == 1 and age < IDEMPOTENCY_WINDOW and is_retried else Verdict.REUSE
    rotated = session.rotated_from
    return Verdict.REPLAY if device.is_near(rotated) or device.is_alike(rotated) or is_retried else Verdict.REUSE
