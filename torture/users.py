"""The rules about accounts: the right password opens, an old one does not, and nothing breaks in an unexpected way."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from torture.history import Attempt
from torture.model import THIEVES, Model, Violation

# What a well-formed request can be answered with, beside 5xx; anything else is a fault.
EXPECTED = {
    "register": {201, 409}, "login": {200, 401, 403}, "refresh": {200, 401}, "logout": {204}, "me": {200, 401},
    "sessions": {200, 401}, "password": {200, 401}, "disable": {200}, "enable": {200},
    "add-factor": {201, 401}, "confirm-factor": {200, 401}, "second-step": {200, 401},
    "recovery-codes": {200, 401, 404},
}  # fmt: skip
UNAVAILABLE = 503
PASSWORD_IS_RIGHT = "second-factor-required"


def faults(model: Model) -> Iterator[Violation]:
    """The machinery may be unavailable (503), but it neither breaks (500) nor answers what makes no sense."""
    for attempt in model.record.attempts:
        if attempt.status not in {None, UNAVAILABLE} | EXPECTED[attempt.op]:
            yield Violation("fault", f"{attempt.op} was answered with {attempt.status} {attempt.code}", (attempt.id,))
    for name, count in model.record.served.items():  # answers of 500 that nobody got are faults too
        if name.startswith("request.failed") and not name.endswith("ClientDisconnect"):
            yield Violation("fault", f"the service's log has {name} {count} times")


@dataclass
class _Knowledge:
    """What an owner's requests so far allow to be true; `active` is None while a switch is under way."""

    possible: set[int] = field(default_factory=set)
    active: bool | None = True
    retired: dict[int, float] = field(default_factory=dict)


def logins(model: Model) -> Iterator[Violation]:
    """The right password opens an active account; one that was replaced, or a disabled account, opens nothing."""
    for attempts in model.by_user.values():
        known = _Knowledge()
        for attempt in attempts:
            yield from _LEARN.get(attempt.op, _nothing)(known, attempt)


def _registered(known: _Knowledge, attempt: Attempt) -> Iterator[Violation]:
    known.possible = {attempt.password or 0}
    yield from ()


def _logged_in(known: _Knowledge, attempt: Attempt) -> Iterator[Violation]:
    password = attempt.password or 0
    if attempt.accepted and known.retired.get(password, attempt.end) < attempt.start:
        yield Violation("old password", f"{attempt.user} signed in with a password that was replaced", (attempt.id,))
    if attempt.accepted and known.active is False and attempt.role not in THIEVES:  # they do not wait for the switch
        yield Violation("disabled account", f"{attempt.user} signed in while disabled", (attempt.id,))
    told_wrong = attempt.refused and attempt.code != PASSWORD_IS_RIGHT
    if attempt.role == "owner" and told_wrong and known.active and known.possible == {password}:
        yield Violation("refused login", f"{attempt.user} was refused with the right password", (attempt.id,))


def _changed(known: _Knowledge, attempt: Attempt) -> Iterator[Violation]:
    old, new = attempt.password or 0, attempt.new_password or 0
    told_wrong = attempt.code == "invalid-credentials"
    if told_wrong and known.active and known.possible == {old}:
        yield Violation("refused change", f"{attempt.user} was told that the right password is wrong", (attempt.id,))
    if attempt.accepted or told_wrong:
        known.possible = {new}
        known.retired[old] = attempt.end
    elif attempt.unknown:
        known.possible |= {new}


def _switched(known: _Knowledge, attempt: Attempt) -> Iterator[Violation]:
    known.active = attempt.op == "enable" if attempt.accepted else None
    yield from ()


def _nothing(_known: _Knowledge, _attempt: Attempt) -> Iterator[Violation]:
    yield from ()


_LEARN = {
    "register": _registered, "login": _logged_in, "password": _changed, "disable": _switched, "enable": _switched,
}  # fmt: skip
