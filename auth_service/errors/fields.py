"""Refusals that name fields: what was expected of them."""

from auth_service.errors.refused import Refused


class InvalidInput(Refused):
    """A field does not hold what was expected: `field` names it, `reason` says what was expected."""

    code = "validation-error"
    detail = "The request has invalid fields."

    def __init__(self, field: str, reason: str) -> None:
        super().__init__()
        self.field = field
        self.reason = reason


class InvalidPassword(InvalidInput):
    """The password policy refuses a password; `word` is the stable reason, such as `password-too-short`."""

    def __init__(self, field: str, word: str, detail: str) -> None:
        super().__init__(field, word)
        self.code = word  # type: ignore[misc]  # each rule of the policy has a word of its own
        self.detail = detail
