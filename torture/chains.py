"""The rules about refreshes: no end by accident, one chain, and theft does not pay."""

from collections import defaultdict
from collections.abc import Iterator
from math import inf

from torture.history import Attempt
from torture.model import Model, Session, Violation

CLOCKS = 0.05  # seconds by which the database's clock and ours may differ on one machine


def spurious_logouts(model: Model) -> Iterator[Violation]:
    """(a) An honest client whose session nobody attacked and nobody ended is never refused a refresh."""
    for session in model.sessions.values():
        for attempt in session.refreshes:
            if attempt.role == "owner" and attempt.refused and attempt.end < session.safe_until:
                text = f"an honest refresh of {session.id} was refused with {attempt.status} {attempt.code}"
                yield Violation("spurious logout", text, (session.opened.id, attempt.id))


def one_chain(model: Model) -> Iterator[Violation]:
    """(b) Whoever presents a token, and how often: it has one successor, of the same session, and that one parent."""
    parents: dict[str, dict[str, Attempt]] = defaultdict(dict)
    children: dict[str, dict[str, Attempt]] = defaultdict(dict)
    for attempt in model.record.attempts:
        if attempt.op == "refresh" and attempt.accepted and attempt.token and attempt.successor:
            children[attempt.token].setdefault(attempt.successor, attempt)
            parents[attempt.successor].setdefault(attempt.token, attempt)
    yield from _forks("two successors", children)
    yield from _forks("two parents", parents)
    for session in model.sessions.values():
        strangers = [a for a in session.refreshes if a.accepted and a.token not in session.depth]
        for attempt in strangers:
            text = f"{session.id} accepted token {attempt.token}, which its login did not lead to"
            yield Violation("token of another chain", text, (attempt.id,))


def _forks(rule: str, links: dict[str, dict[str, Attempt]]) -> Iterator[Violation]:
    for token, found in links.items():
        if len(found) > 1:
            ids = tuple(attempt.id for attempt in found.values())
            yield Violation(rule, f"token {token} is linked to {sorted(found)}", ids)


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


def superseded(session: Session, attempt: Attempt) -> float:
    """When the presented token certainly had a successor: an answer had come for it, or for one further on."""
    depth = session.depth.get(str(attempt.token), inf)
    return min(
        (a.end for a in session.refreshes if a.accepted and session.depth.get(str(a.token), -1) >= depth), default=inf
    )


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
