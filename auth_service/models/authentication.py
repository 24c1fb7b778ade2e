"""How somebody was authenticated, and when: what access tokens say of it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self

from auth_service.roles import Role
from auth_service.settings import Settings


class Acr(StrEnum):
    """The authentication context class, the weakest first (`acr`; RFC 9068, section 2.2.1; NIST SP 800-63B-4)."""

    AAL1 = "aal1"  # a password
    AAL2 = "aal2"  # and a second factor
    PHR = "phr"  # phishing-resistant: a passkey

    @property
    def satisfied_by(self) -> tuple["Acr", ...]:
        """The classes that are as sure as this one or surer, the weakest first."""
        order = tuple(Acr)
        return order[order.index(self) :]

    def is_met_by(self, said: str | None) -> bool:
        """Whether a sign-in will do of which a token says this. What is not said is the weakest, as it was before there
        was anything to say; a class that is not ours meets none.
        """
        return (Acr.AAL1 if said is None else said) in self.satisfied_by


class Authentication(NamedTuple):
    """What was proved at a sign-in: its class, and the methods (`amr`; RFC 8176), parted by blanks as in the table.

    `time` is when; None for now.
    """

    acr: Acr
    amr: str
    time: datetime | None = None


class FactorPolicy(NamedTuple):
    """How sure everybody of a role must be: `AAL2` with any second factor, `PHR` with a passkey. Roles that were
    imported go with `user`: here they have no rights beyond it.
    """

    required: Mapping[Role, Acr]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        by_factor = dict.fromkeys(settings.factors.required_roles, Acr.AAL2)
        return cls(by_factor | dict.fromkeys(settings.passkeys.required_roles, Acr.PHR))

    def required_acr(self, role: str) -> Acr:
        """The least class of a session of whoever has this role."""
        return self.required.get(Role.ADMIN if role == Role.ADMIN else Role.USER, Acr.AAL1)

    def asks(self, role: str) -> bool:
        """Whether whoever has this role must have a factor."""
        return self.required_acr(role) != Acr.AAL1

    def asks_for_passkey(self, role: str) -> bool:
        """Whether that must be a passkey, and no other factor will do."""
        return self.required_acr(role) == Acr.PHR

    def refuses(self, role: str, acr: str | None) -> bool:
        """Whether a session of this role is not sure enough: it was opened before its user had to have a factor."""
        # Nobody must where none are listed, and every request asks.
        return bool(self.required) and self.asks(role) and not self.required_acr(role).is_met_by(acr)


BY_PASSWORD = Authentication(Acr.AAL1, "pwd")
BY_CODE = Authentication(Acr.AAL2, "pwd otp mfa")  # of an app, or a recovery code, beside the password


def by_passkey(*, is_device_bound: bool, beside_password: bool = False) -> Authentication:
    """A passkey, with which the user was verified: on the device (`hwk`), or by one that is synced (`swk`)."""
    kind = "hwk" if is_device_bound else "swk"
    return Authentication(Acr.PHR, f"pwd {kind} user mfa" if beside_password else f"{kind} user")
