"""The rules about second factors: no session without a code, no code that is good twice, and none refused in error."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import inf

from torture.history import STEP, Attempt
from torture.model import Model, Violation


def added(attempts: Iterable[Attempt]) -> Attempt | None:
    """The acknowledged enrolment among the attempts about an account, if there is one."""
    return next((attempt for attempt in attempts if attempt.op == "confirm-factor" and attempt.accepted), None)


def sessions_without_code(model: Model) -> Iterator[Violation]:
    """Once an account has a factor, the password alone opens no session, whoever gives it; and none is alive that it
    opened before, which `finality.py` and `ending.py` check.
    """
    for user, attempts in model.by_user.items():
        enrolment = added(attempts)
        for attempt in attempts:
            if enrolment and attempt.op == "login" and attempt.accepted and attempt.start > enrolment.end:
                text = f"{attempt.by} opened a session of {user} without a code"
                yield Violation("no code", text, (enrolment.id, attempt.id))
    for row in model.record.rows:
        if row.without_code:
            text = f"{row.session} of {row.user} was opened without a code"
            yield Violation("no code", text, (row.attempt,))


def codes_used_twice(model: Model) -> Iterator[Violation]:
    """A code, or a challenge, is used up by one attempt, also by one whose answer was lost: the database tells."""
    opened = {row.attempt for row in model.record.rows}
    for kind in ("code_used", "challenge"):
        accepted: dict[str, list[str]] = defaultdict(list)
        for attempt in model.record.attempts:
            if (used := getattr(attempt, kind)) and (attempt.accepted or attempt.id in opened):
                accepted[used].append(attempt.id)
        for used, ids in accepted.items():
            if len(ids) > 1:
                yield Violation("code used twice", f"{kind} {used} was accepted {len(ids)} times", tuple(ids))


def refused_codes(model: Model) -> Iterator[Violation]:
    """A right code that nobody can have used up is not refused. An owner does one thing after the other."""
    for attempts in model.by_user.values():
        sent: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in attempts:
            if attempt.op == "second-step" and attempt.code_used:
                sent[attempt.code_used].append(attempt)
        for code, tries in sent.items():
            good_until = (tries[0].step + 2) * STEP if tries[0].step else inf
            if all(one.refused and one.role == "owner" and one.end < good_until for one in tries):
                text = f"the code {code} of {tries[0].user} was refused, and had not been used"
                yield Violation("refused code", text, tuple(one.id for one in tries))
