"""The rules about ends: what has ended stays ended, and a live session's access token is not refused."""

from collections.abc import Iterator

from torture.history import Attempt, Record
from torture.model import Model, Session, Violation

# Each process reads the ended sessions every second, and hears of most of them at once. The second second is for a
# reading that had begun, and the slack for a statement and a turn of the event loop on cores that ten processes share.
PROMISED = 2.0
SLACK = 1.0
# A reading fails while the database does not answer. After that it takes one budget (2.5 s) and one pause (1 s) at most
# until it succeeds; in the meantime a process asks the database as soon as its news are older than `stale_after`.
RECOVERY = 3.5
HOUR = 3600
OUTAGES = {"freeze", "restart-fast", "restart-immediate", "kill-backend", "terminate-backends"}


def final_refreshes(model: Model) -> Iterator[Violation]:
    """(c) After an acknowledged end, or a refusal, or its expiry, a session gives no tokens and shows no account."""
    for session in model.sessions.values():
        end = min(session.dead_from, session.expired_from)
        for attempt in (*session.refreshes, *(look for look in session.looks if look.op == "me")):
            if attempt.accepted and attempt.start > end:
                text = f"{attempt.op} of {session.id} was accepted {attempt.start - end:.2f} s after its end"
                yield Violation("life after the end", text, (*_ends(session), attempt.id))


def final_access(model: Model) -> Iterator[Violation]:
    """(c) No route accepts an access token of it 2 s later; the list of sessions asks the process's memory."""
    for session in model.sessions.values():
        for attempt in session.looks:
            if attempt.accepted and attempt.start > session.dead_from + _bound(model.record, session, attempt):
                late = attempt.start - session.dead_from
                text = f"the access token of {session.id} was accepted {late:.2f} s after the end"
                yield Violation("access after the end", text, (*_ends(session), attempt.id))


def _bound(record: Record, session: Session, attempt: Attempt) -> float:
    disturbed = any(
        event.name in OUTAGES and event.start < attempt.start and event.end + RECOVERY > session.dead_from
        for event in record.events
    )
    return (record.settings.stale_after if disturbed else PROMISED) + SLACK


def _ends(session: Session) -> tuple[str, ...]:
    """Who ended it: the acknowledged request or the refused refresh."""
    found = [*session.certain_ends, *(attempt for attempt in session.refreshes if attempt.refused)]
    return tuple(attempt.id for attempt in found if attempt.end == session.dead_from)


def spurious_401s(model: Model) -> Iterator[Violation]:
    """(a) A live session's access token is accepted until it expires, unless the key that signed it is revoked."""
    for session in model.sessions.values():
        for attempt in session.looks:
            excused = any(event.start < attempt.end for event in model.revocations_of(attempt.kid))
            expired = attempt.exp is not None and attempt.end > attempt.exp
            honest = attempt.role == "owner" and attempt.end < session.safe_until
            if attempt.refused and honest and not excused and not expired:
                text = f"{attempt.op} of the live session {session.id} was refused with {attempt.status}"
                yield Violation("spurious 401", text, (session.opened.id, attempt.id))


def expired_access(model: Model) -> Iterator[Violation]:
    """An access token that has expired is refused."""
    leeway = model.record.settings.leeway
    for attempt in model.record.attempts:
        if attempt.accepted and attempt.exp is not None and attempt.start > attempt.exp + leeway + 0.1:
            text = f"{attempt.op} accepted an access token {attempt.start - attempt.exp:.1f} s after it expired"
            yield Violation("expired access token", text, (attempt.id,))


def lists(model: Model) -> Iterator[Violation]:
    """An owner's list has every session that is certainly alive, and none that is certainly dead."""
    for user, attempts in model.by_user.items():
        sessions = model.sessions_of(user)
        for attempt in attempts:
            if attempt.listed is not None:
                alive = {s.id for s in sessions if s.opened.end < attempt.start and attempt.end < s.safe_until}
                dead = {s.id for s in sessions if min(s.dead_from, s.expired_from) < attempt.start}
                wrong = (alive - set(attempt.listed)) | (dead & set(attempt.listed))
                if wrong:
                    text = f"the list of {user} is wrong about {sorted(wrong)}"
                    yield Violation("wrong list", text, (attempt.id,))


def lists_stand_still(model: Model) -> Iterator[Violation]:
    """(d) What a bearer is told of a session that is alive changes on the hour alone, whoever rotates it meanwhile."""
    seen: dict[tuple[str, int], tuple[str, Attempt]] = {}
    for attempt in sorted(model.record.attempts, key=lambda attempt: attempt.start):
        hour = int(attempt.start // HOUR)
        if attempt.listed is None or attempt.shown is None:
            continue
        if int((attempt.start - SLACK) // HOUR) != int((attempt.end + SLACK) // HOUR):
            continue  # the clock of the database may be on either side of the hour
        for session, shown in zip(attempt.listed, attempt.shown, strict=True):
            before, first = seen.setdefault((session, hour), (shown, attempt))
            if shown != before:
                text = f"what is told of {session} changed within an hour"
                yield Violation("telltale list", text, (first.id, attempt.id))


def longest_access(model: Model) -> float:
    """For the summary: the longest that an access token was accepted after the end of its session, in seconds."""
    late = [
        attempt.start - session.dead_from
        for session in model.sessions.values()
        for attempt in session.looks
        if attempt.accepted and attempt.start > session.dead_from
    ]
    return max(late, default=0.0)


def accepted_late(model: Model, after: float) -> list[Attempt]:
    """For the summary: what was accepted so many seconds after the end, which only an outage excuses."""
    return [
        attempt
        for session in model.sessions.values()
        for attempt in session.looks
        if attempt.accepted and attempt.start > session.dead_from + after
    ]
