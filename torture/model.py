"""The history put in order: users, sessions, chains of tokens, and what may have ended them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

from torture.history import Attempt, Event, Record

LOOKS = {"me", "sessions"}
THIEVES = {"thief", "follower"}
OPENERS = {"login", "password", "second-step", "confirm-factor"}
ENDS_ALL = {"disable", "enable"}  # enabling raises the credential epoch too


@dataclass(frozen=True)
class Violation:
    """A promise that was broken, and the attempts that show it."""

    rule: str
    text: str
    attempts: tuple[str, ...] = ()


@dataclass
class Session:
    """A session from the login, new password or first factor that opened it. `user` is its owner, whoever used it."""

    opened: Attempt
    lifetime: float
    grace: float
    refreshes: list[Attempt] = field(default_factory=list)
    looks: list[Attempt] = field(default_factory=list)
    possible_ends: list[Attempt] = field(default_factory=list)
    certain_ends: list[Attempt] = field(default_factory=list)
    depth: dict[str, int] = field(default_factory=dict)
    """How many refreshes led to a token that was given out; the one that the login gave is 0."""

    @property
    def id(self) -> str:
        return str(self.opened.session)

    @cached_property
    def attacks(self) -> list[Attempt]:
        return [attempt for attempt in self.refreshes if attempt.role in THIEVES]

    @cached_property
    def late_tabs(self) -> list[Attempt]:
        """What a second tab asked with a token that may have been spent longer ago than the grace."""
        return [attempt for attempt in self.refreshes if attempt.role == "tab" and not self.is_in_time(attempt)]

    def is_in_time(self, attempt: Attempt) -> bool:
        """Whether the grace of the presented token certainly lasted to the answer: nobody had used it long before."""
        used = [a.start for a in self.refreshes if (a.generation or 0) >= (attempt.generation or 0)]
        return attempt.end < min(used) + self.grace

    @cached_property
    def safe_until(self) -> float:
        """Until then nobody but its owner used it in time, nobody tried to end it, and it had not expired."""
        trouble = [attempt.start for attempt in (*self.possible_ends, *self.attacks, *self.late_tabs)]
        return min([*trouble, self.opened.start + self.lifetime])

    @cached_property
    def dead_from(self) -> float:
        """From then on it is certainly dead: an end was acknowledged, or a refresh refused, which is final too."""
        refused = [attempt.end for attempt in self.refreshes if attempt.refused]
        return min([*(attempt.end for attempt in self.certain_ends), *refused], default=inf)

    @property
    def expired_from(self) -> float:
        return self.opened.end + self.lifetime


@dataclass
class Model:
    record: Record
    sessions: dict[str, Session]
    by_user: dict[str, list[Attempt]]
    """The attempts that are about a user's account, in order."""

    def sessions_of(self, user: str) -> list[Session]:
        return [session for session in self.sessions.values() if session.opened.user == user]

    def revocations_of(self, kid: str | None) -> list[Event]:
        return [event for event in self.record.events if event.name == "revoke-key" and event.kid == kid]


def understand(record: Record) -> Model:
    """Put a history in order. Whatever order its lines have, attempts are taken by their start."""
    attempts = sorted(record.attempts, key=lambda attempt: attempt.start)
    lifetime, grace = record.settings.session_lifetime, record.settings.grace
    opened = [attempt for attempt in attempts if attempt.op in OPENERS and attempt.accepted]
    sessions = {str(attempt.session): Session(attempt, lifetime, grace) for attempt in opened}
    by_user: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.user:
            by_user[attempt.user].append(attempt)
        if attempt.session in sessions:
            _note(sessions[attempt.session], attempt)
    model = Model(record, sessions, by_user)
    for attempt in attempts:
        if attempt.op in ENDS_ALL | {"password", "confirm-factor"} and not attempt.refused:
            _end(attempt, model.sessions_of(str(attempt.user)))
    for session in sessions.values():
        session.depth = _depths(session)
    return model


def _note(session: Session, attempt: Attempt) -> None:
    if attempt.op == "refresh":
        session.refreshes.append(attempt)
    elif attempt.op in LOOKS:
        session.looks.append(attempt)
    elif attempt.op == "logout" and not attempt.refused:
        session.possible_ends.append(attempt)
        if attempt.accepted:
            session.certain_ends.append(attempt)


def _end(attempt: Attempt, sessions: Iterable[Session]) -> None:
    """A change of credentials ends what was open before it, and not the session that it opens."""
    for session in sessions:
        if session.opened is attempt or session.opened.start > attempt.end:
            continue
        session.possible_ends.append(attempt)
        if attempt.accepted and session.opened.end < attempt.start:
            session.certain_ends.append(attempt)


def _depths(session: Session) -> dict[str, int]:
    """Of every token that an answer gave out."""
    answers = [session.opened, *(attempt for attempt in session.refreshes if attempt.accepted)]
    return {str(answer.successor): answer.next_generation or 0 for answer in answers if answer.successor}
