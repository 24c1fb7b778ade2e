"""Judges a history: every rule, and a summary of what happened."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain

from torture import chains, ending, factors, finality, users
from torture.history import Attempt, Record
from torture.model import THIEVES, Model, Session, Violation, understand

RULES: tuple[Callable[[Model], Iterator[Violation]], ...] = (
    chains.spurious_logouts,
    chains.one_chain,
    chains.head_alone,
    chains.theft,
    chains.followers,
    finality.final_refreshes,
    finality.final_access,
    finality.spurious_401s,
    finality.expired_access,
    finality.lists,
    finality.lists_stand_still,
    users.faults,
    users.logins,
    factors.sessions_without_code,
    factors.codes_used_twice,
    factors.refused_codes,
    ending.end_state,
)
SHOWN = 20
OUTCOMES = ("done", "refused", "unavailable", "no answer")


def check(record: Record) -> list[Violation]:
    """Return every violation in a history."""
    model = understand(record)
    return list(chain.from_iterable(rule(model) for rule in RULES))


def report(record: Record) -> int:
    """Print the summary and the violations with the lines that show them; return the exit code."""
    violations = check(record)
    print("\n".join(summary(understand(record))))
    by_id = {attempt.id: attempt for attempt in record.attempts}
    for violation in violations[:SHOWN]:
        print(f"VIOLATION {violation.rule}: {violation.text}")
        for line in (by_id[name] for name in violation.attempts if name in by_id):
            print(f"    {line}")
    kinds = ", ".join(f"{count} {rule}" for rule, count in Counter(v.rule for v in violations).most_common())
    print(f"violations: {len(violations)}{f' ({kinds})' if kinds else ''}")
    return 1 if violations else 0


def summary(model: Model) -> Iterator[str]:
    """Say what happened, so that a clean run can be told from an idle one."""
    record = model.record
    yield f"{'attempts':<14}" + "".join(f"{outcome:>14}" for outcome in OUTCOMES)
    counts = Counter((f"{a.op} ({a.role})", _outcome(a)) for a in record.attempts)
    for op in sorted({op for op, _ in counts}):
        yield f"  {op:<20}" + "".join(f"{counts[op, outcome]:>12}" for outcome in OUTCOMES)
    acts = Counter(event.name + (" (failed)" if event.failed else "") for event in record.events)
    yield "nemesis: " + ", ".join(f"{name} {count}" for name, count in sorted(acts.items()))
    yield "the service's log: " + ", ".join(f"{name} {count}" for name, count in sorted(record.served.items()))
    signed_by = {attempt.kid for attempt in record.attempts if attempt.kid}
    yield f"signing keys: access tokens of {len(signed_by)} keys were used"
    yield from _about_sessions(model)


def _about_sessions(model: Model) -> Iterator[str]:
    sessions = list(model.sessions.values())
    attacked = [session for session in sessions if session.attacks]
    shared = [session for session in attacked if _both_refreshed(session)]
    caught = sum(any(attempt.refused for attempt in session.refreshes) for session in shared)
    alive, certain = ending.live_rows(model)
    late = finality.accepted_late(model, finality.PROMISED)
    yield f"sessions: {len(sessions)}, ended for certain {sum(bool(s.certain_ends) for s in sessions)}"
    yield f"thefts: {len(attacked)} sessions, refreshed by both {len(shared)}, of which refused in the end {caught}"
    tabs = [attempt for session in sessions for attempt in session.refreshes if attempt.role == "tab"]
    too_late = sum(len(session.late_tabs) for session in sessions)
    yield from _about_factors(model)
    yield f"second tabs: {len(tabs)} refreshes, of which perhaps after the grace {too_late}"
    yield f"at the end: {alive} sessions alive in the database, {certain} of them certain to the model"
    yield (
        f"access tokens after the end: accepted for {finality.longest_access(model):.2f} s at most, "
        f"{len(late)} times for more than {finality.PROMISED:.0f} s"
    )


def _about_factors(model: Model) -> Iterator[str]:
    steps = [attempt for attempt in model.record.attempts if attempt.op == "second-step"]
    owners = len({user for user, attempts in model.by_user.items() if factors.added(attempts)})
    accepted = sum(attempt.accepted for attempt in steps)
    by_thieves = sum(attempt.role in THIEVES for attempt in steps)
    yield f"second factors: of {owners} owners, {accepted} codes accepted at sign-ins, {by_thieves} brought by thieves"


def _both_refreshed(session: Session) -> bool:
    by = {attempt.role for attempt in session.refreshes if attempt.accepted}
    return "owner" in by and bool(by & THIEVES)


def _outcome(attempt: Attempt) -> str:
    if attempt.accepted or attempt.refused:
        return "done" if attempt.accepted else "refused"
    return "no answer" if attempt.status is None else "unavailable"
