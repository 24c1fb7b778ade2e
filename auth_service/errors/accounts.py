"""Refusals about accounts, their credentials, links and sessions."""

import math
from enum import StrEnum

from auth_service.errors.refused import Refused


class AccountExists(Refused):
    code = "account-exists"
    detail = "Email or username already registered"


class AccountDisabled(Refused):
    code = "account-disabled"
    detail = "The account is disabled; enable it first."


class AdminsOwnAccount(Refused):
    code = "own-account"
    detail = "This is your own account: change it as its owner, or ask another administrator or the operator."


class LastAdmin(Refused):
    code = "last-admin"
    detail = "This is the last administrator who can sign in; make another user an administrator first."


class LastCredential(Refused):
    code = "last-credential"
    detail = "The role of the account must have a second factor. A new app replaces this one once it is confirmed."


class InvalidCredentials(Refused):
    code = "invalid-credentials"
    detail = "The account or the password is wrong."


class PasswordRequired(Refused):
    code = "password-required"
    detail = "Enter the password of the account as well. The link stays good."


class LinkFault(StrEnum):
    """Why a link is good for nothing, as far as that is known; whoever has it may know."""

    UNKNOWN = "unknown"  # mistyped, replaced by a newer one, or long gone
    USED = "used"
    EXPIRED = "expired"
    OUTDATED = "outdated"  # the password, the address or the state of the account is another than when it was sent
    NEEDS_PASSKEY = "needs-passkey"  # it is good, and sets no password for this account


class InvalidLink(Refused):
    code = "invalid-link"

    def __init__(self, reason: LinkFault = LinkFault.UNKNOWN) -> None:
        super().__init__(_LINK_FAULTS[reason])
        self.members = {"reason": reason}


_LINK_FAULTS = {
    LinkFault.UNKNOWN: "The link is not valid: it is mistyped or cut off, or a newer one or a change has replaced it.",
    LinkFault.USED: "The link was used already.",
    LinkFault.EXPIRED: "The link has expired.",
    LinkFault.OUTDATED: "The link is not valid any more: the account was changed after it was sent.",
    LinkFault.NEEDS_PASSKEY: (
        "The account signs in with passkeys alone, as its role must, so no link sets a password for it. The link was "
        "not used up."
    ),
}


class TooManyAttempts(Refused):
    """The client tries too often, successfully or not; `retry_after` is in seconds."""

    code = "too-many-attempts"
    detail = "Too many attempts; wait before trying again."

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = max(1, math.ceil(retry_after))


class NoSuchSession(Refused):
    code = "not-found"
    detail = "You have no such session."


class NoSuchUser(Refused):
    code = "not-found"
    detail = "There is no such user."


class NoPendingChange(Refused):
    code = "not-found"
    detail = "No such change is pending for this account."
