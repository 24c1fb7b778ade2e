"""Refusals that name fields: for each a code for programs, and a sentence that a form can show."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple

from auth_service.errors.refused import Refused


class Reason(StrEnum):
    """Why a field cannot be taken. There may be more of them one day, and none of these ever means something else."""

    REQUIRED = "required"
    UNKNOWN_FIELD = "unknown-field"
    REPEATED = "repeated"
    NOT_TOGETHER = "not-together"
    NOT_ALLOWED = "not-allowed"
    WRONG_TYPE = "wrong-type"
    NOT_FINITE = "not-finite"
    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    TOO_SMALL = "too-small"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    INVALID_CHARACTER = "invalid-character"
    INVALID_FORMAT = "invalid-format"
    UNKNOWN_VALUE = "unknown-value"
    INVALID_EMAIL = "invalid-email"
    INVALID_USERNAME = "invalid-username"
    UNREACHABLE_EMAIL = "unreachable-email"
    LOOK_ALIKE = "look-alike"
    UNCHANGED = "unchanged"
    PASSWORD_TOO_SHORT = "password-too-short"  # noqa: S105  # a reason
    PASSWORD_TOO_LONG = "password-too-long"  # noqa: S105
    PASSWORD_BLOCKLISTED = "password-blocklisted"  # noqa: S105


OF_PASSWORDS = frozenset({Reason.PASSWORD_TOO_SHORT, Reason.PASSWORD_TOO_LONG, Reason.PASSWORD_BLOCKLISTED})


class FieldFault(NamedTuple):
    """What is wrong with a field: the sentence `detail` never repeats what was sent. `limit` is the number in it."""

    field: str
    reason: Reason
    detail: str
    limit: int | None = None


MOST_FAULTS = 50  # a small body must not make a large answer


class InvalidFields(Refused):
    """Fields do not hold what was expected: all of them at once, each with its faults, up to a number that no form has.

    The code is that of a rule for passwords, if it is all that is wrong.
    """

    code = "validation-error"
    detail = "Some fields are not filled in correctly."

    def __init__(self, faults: Iterable[FieldFault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))[:MOST_FAULTS]
        [sole, *others] = self.faults
        is_of_password = sole.reason in OF_PASSWORDS and not others
        super().__init__(sole.detail if is_of_password else None)
        if is_of_password:
            self.code = sole.reason.value  # type: ignore[misc]  # each rule of the policy has a code of its own


class InvalidInput(InvalidFields):
    """One field does not."""

    def __init__(self, field: str, reason: Reason, detail: str, limit: int | None = None) -> None:
        super().__init__([FieldFault(field, reason, detail, limit)])


class InvalidPassword(InvalidInput):
    """The password policy refuses a password."""


class FieldFaults:
    """Collects what is wrong with several fields, so that they are refused together."""

    def __init__(self) -> None:
        self.found: list[FieldFault] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what the block refuses, and go on behind it."""
        try:
            yield
        except InvalidFields as refused:
            self.found += refused.faults

    def note(self, field: str, reason: Reason, detail: str) -> None:
        self.found.append(FieldFault(field, reason, detail))

    def refuse(self) -> None:
        """Raise `InvalidFields` if anything was noted."""
        if self.found:
            raise InvalidFields(self.found)
