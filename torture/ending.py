"""The rules about quiescence: (e) the database equals the model."""

from collections.abc import Iterator
from math import inf

from torture.history import Account, Attempt, Row
from torture.model import OPENERS, Model, Session, Violation

REASONS = {
    "logout": "logout", "password": "password_changed", "disable": "user_disabled", "enable": "user_disabled",
    "confirm-factor": "factor_added",
}  # fmt: skip
EPOCH_RAISERS = {"password", "disable", "enable", "confirm-factor"}
NOTHING_IN_FLIGHT = 5.0  # seconds after which a login without an answer is certainly done with


def end_state(model: Model) -> Iterator[Violation]:
    """Compare every row that is left with what the history allows; a run that did not get to its end is one too."""
    closed = model.record.closed_at
    if closed is None:
        yield Violation("no end", "the run did not reach quiescence, so the database was not compared")
        return
    rows = {row.session: row for row in model.record.rows}
    for session in model.sessions.values():
        if session.opened.start + session.lifetime > closed:  # else expired, and perhaps deleted
            yield from _session(session, rows.get(session.id), closed)
    for row in model.record.rows:
        if row.session not in model.sessions:
            yield from _ghost(model, row)
    for account in model.record.accounts:
        yield from _account(account, model.by_user.get(account.user, []))
    yield from _lost_accounts(model)
    if model.record.served.get("refresh.fast_forwarded"):
        text = "a refresh was fast-forwarded: the database forgot a rotation that it had acknowledged"
        yield Violation("forgotten commit", text)


def _session(session: Session, row: Row | None, closed: float) -> Iterator[Violation]:
    if row is None:
        yield Violation("lost session", f"{session.id} has no row and has not expired", (session.opened.id,))
        return
    if closed < session.safe_until and not row.alive:
        text = f"{session.id} is dead ({row.reason}), and nobody ended it"
        yield Violation("ended for no reason", text, (session.opened.id,))
    if session.dead_from < closed and row.alive:
        text = f"{session.id} is alive after its acknowledged end"
        yield Violation("alive after its end", text, (session.opened.id,))
    yield from _generation(session, row)
    yield from _reason(session, row)


def _generation(session: Session, row: Row) -> Iterator[Violation]:
    """As many rotations as the chain is long, and one more if nobody got the last answer."""
    head = max(session.depth.values())
    heads = {token for token, depth in session.depth.items() if depth == head}
    open_question = any(a.unknown and a.token in heads for a in session.refreshes)
    if row.generation not in {head, head + 1} or (row.generation > head and not open_question):
        text = f"{session.id} is at generation {row.generation}, and its clients know of {head}"
        yield Violation("wrong generation", text, (session.opened.id,))


def _reason(session: Session, row: Row) -> Iterator[Violation]:
    allowed = {REASONS[attempt.op] for attempt in session.possible_ends}
    if session.attacks or session.late_tabs:
        allowed.add("reuse")
    if row.reason is not None and row.reason not in allowed:
        text = f"{session.id} ended by {row.reason}, which nobody asked for"
        yield Violation("wrong reason", text, (session.opened.id,))


def _ghost(model: Model, row: Row) -> Iterator[Violation]:
    """A row that no client knows comes from an opening without an answer, and died with its user's other sessions."""
    mine = model.by_user.get(row.user, [])
    opener = next((a for a in mine if a.id == row.attempt and a.op in OPENERS), None)
    if opener is None or not opener.unknown:
        yield Violation("unknown session", f"{row.session} of {row.user} comes from no login", (row.attempt,))
        return
    enders = (a for a in mine if a.op in EPOCH_RAISERS and a.accepted)
    ended_by = next((a for a in enders if a.start > opener.end + NOTHING_IN_FLIGHT), None)
    if row.alive and ended_by:
        text = f"{row.session}, which was opened without an answer, outlived the change of credentials after it"
        yield Violation("alive after its end", text, (opener.id, ended_by.id))


def _account(account: Account, attempts: list[Attempt]) -> Iterator[Violation]:
    raisers = [attempt for attempt in attempts if attempt.op in EPOCH_RAISERS]
    certain, perhaps = sum(a.accepted for a in raisers), sum(a.unknown for a in raisers)
    if not certain <= account.epoch <= certain + perhaps:
        text = f"{account.user} has epoch {account.epoch}, and {certain} changes were acknowledged"
        yield Violation("wrong epoch", text)
    switches = [attempt for attempt in attempts if attempt.op in {"disable", "enable"}]
    if not switches or switches[-1].accepted:
        expected = not switches or switches[-1].op == "enable"
        if account.active != expected:
            yield Violation("wrong state", f"{account.user} is {'not ' * (not account.active)}active")


def _lost_accounts(model: Model) -> Iterator[Violation]:
    known = {account.user for account in model.record.accounts}
    for user, attempts in model.by_user.items():
        made = next((a for a in attempts if a.op == "register" and (a.accepted or a.status == 409)), None)
        if made and user not in known:
            yield Violation("lost account", f"{user} is not in the database", (made.id,))


def live_rows(model: Model) -> tuple[int, int]:
    """For the summary: how many sessions are alive in the database, and how many certainly should be."""
    closed = model.record.closed_at or inf
    certain = sum(closed < session.safe_until for session in model.sessions.values())
    return sum(row.alive for row in model.record.rows), certain
