"""The rules about refreshes: no end by accident, one chain, and theft does not pay."""

from collections import defaultdict
from collections.abc import Iterator
from math import inf

from torture.history import Attempt
from torture.model import Model, Session, Violation

MOST_ROTATIONS = 60  # within the grace
CLOCKS = 0.05  # seconds by which the database's clock and ours may differ on one machine


def spurious_logouts(model: Model) -> Iterator[Violation]:
    """(a) An honest client whose session nobody attacked and nobody ended is never refused a refresh.

    Nor is a second tab that brings a spent token within the grace.
    """
    for session in model.sessions.values():
        for attempt in session.refreshes:
            if attempt.role in {"owner", "tab"} and attempt.refused and attempt.end < session.safe_until:
                text = f"an honest refresh of {session.id} was refused with {attempt.status} {attempt.code}"
                yield Violation("spurious logout", text, (session.opened.id, attempt.id))


def one_chain(model: Model) -> Iterator[Violation]:
    """(b) A session has one token of each generation, whoever presents what, and how often; no chain branches."""
    for session in model.sessions.values():
        tokens: dict[int, dict[str, Attempt]] = defaultdict(dict)
        for attempt in (session.opened, *session.refreshes):
            if attempt.accepted and attempt.successor:
                tokens[attempt.next_generation or 0].setdefault(attempt.successor, attempt)
        for generation, found in tokens.items():
            if len(found) > 1:
                ids = tuple(attempt.id for attempt in found.values())
                yield Violation("two branches", f"{session.id} has {sorted(found)} of generation {generation}", ids)
        for attempt in session.refreshes:
            if attempt.accepted and attempt.token not in session.depth:
                text = f"{session.id} accepted token {attempt.token}, which no answer of it gave out"
                yield Violation("token of another chain", text, (attempt.id,))


def head_alone(model: Model) -> Iterator[Violation]:
    """(b) Whatever token is answered, the answer is the session's current one: nobody gets one that is spent already.

    A second tab that got one would bring it after the grace, and sign everybody out. The presented one is current only
    if the session may have been rotated too often.
    """
    for session in model.sessions.values():
        reached: list[tuple[float, int, Attempt]] = [
            (a.end, a.next_generation or 0, a) for a in (session.opened, *session.refreshes) if a.accepted
        ]
        for attempt in session.refreshes:
            given = attempt.next_generation or 0
            further = next((a for end, at, a in reached if end < attempt.start and at > given), None)
            behind = given - (attempt.generation or 0)
            unchanged = behind == 0 and not _may_be_unchanged(session, attempt)
            if attempt.accepted and (further or behind < 0 or unchanged):
                text = f"{session.id} answered generation {attempt.generation} with {given}, which was spent"
                yield Violation("spent answer", text, (*((further.id,) if further else ()), attempt.id))


def _may_be_unchanged(session: Session, attempt: Attempt) -> bool:
    """Whether so many rotations may have been within the grace that this attempt did not rotate."""
    first = (attempt.generation or 0) - MOST_ROTATIONS + 1  # the oldest of them led to this generation
    reached = min((a.end for a in session.refreshes if a.accepted and (a.next_generation or 0) >= first), default=inf)
    return first > 0 and reached + session.grace + CLOCKS > attempt.start


def theft(model: Model) -> Iterator[Violation]:
    """(d) A token that was superseded longer ago than the grace is refused, whoever presents it.

    So when thief and owner have both refreshed, the one who is behind ends the session with his next refresh after
    the grace: being refused is final, which `finality.py` checks.
    """
    grace = model.record.settings.grace
    for session in model.sessions.values():
        for attempt in session.refreshes:
            since = superseded(session, attempt)
            if attempt.accepted and attempt.start > since + grace + CLOCKS and not _is_retry(session, attempt, since):
                late = attempt.start - since
                text = f"{session.id} accepted token {attempt.token} {late:.2f} s after it was superseded"
                yield Violation("undetected theft", text, _witnesses(session, attempt))


def followers(model: Model) -> Iterator[Violation]:
    """(d) Whoever brings a spent token from another network and device than the last rotation's ends the session.

    Once a follower has rotated it himself, he comes from where the last rotation came from.
    """
    for session in model.sessions.values():
        mine = [a for a in session.refreshes if a.role == "follower"]
        first = next((a for a in mine if not a.refused), None)
        if first and first.accepted and superseded(session, first) < first.start:
            text = f"{session.id} answered a follower who brought the spent token {first.token} from elsewhere"
            yield Violation("unnoticed follower", text, _witnesses(session, first))


def superseded(session: Session, attempt: Attempt) -> float:
    """When the presented token certainly had a successor: an answer had given it, or one further on."""
    depth = session.depth.get(str(attempt.token), inf)
    return min((a.end for a in session.refreshes if a.accepted and (a.next_generation or 0) > depth), default=inf)


def _is_retry(session: Session, attempt: Attempt, since: float) -> bool:
    """Whether the same Idempotency-Key may have rotated this token, and no later one had been presented by then.

    That one is answered for 24 hours.
    """
    depth = session.depth.get(str(attempt.token), -1)
    same = any(
        a.key == attempt.key and a.token == attempt.token and a.start < since
        for a in session.refreshes
        if a.id != attempt.id
    )
    further = any(
        a.accepted and a.end < attempt.start and session.depth.get(str(a.token), -1) > depth for a in session.refreshes
    )
    return attempt.key is not None and same and not further


def _witnesses(session: Session, attempt: Attempt) -> tuple[str, ...]:
    """The first who superseded the token, and who was accepted with it all the same."""
    depth = session.depth.get(str(attempt.token), -1)
    before = [a for a in session.refreshes if a.accepted and session.depth.get(str(a.token), -1) >= depth]
    return (min(before, key=lambda a: a.end).id, attempt.id)
