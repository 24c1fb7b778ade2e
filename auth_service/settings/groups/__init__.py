"""The groups: a field of group `cookies` is named `AUTH_COOKIES__FIELD`. Some have a file of their own beside this."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from auth_service.settings.lists import FieldNameList, NetworkList, RoleList
from auth_service.settings.origins import OriginList, PasskeyOriginList, RelyingPartyId
from auth_service.settings.values import LONGEST, SHORTEST_WAIT, ZERO, Duration, Group, choice

DEFAULT_AUDIT_RETENTION = timedelta(days=400)
MAX_CHANGE_DELAY = timedelta(days=30)


class RegistrationSettings(Group):
    """Whether registering tells that an address is taken: `reveal` with a 409, `conceal` in a mail to its owner.

    An account that nobody has verified or signed in to in its lifetime is deleted; 0 for never. Addresses of in-house
    domains are for the embedded default, unless it is said.
    """

    existing: Annotated[Literal["reveal", "conceal"], choice("reveal", "conceal")] = "reveal"
    in_house_domains: bool | None = None
    unverified_lifetime: Duration = Field(timedelta(days=30), ge=ZERO, le=LONGEST)

    @field_validator("unverified_lifetime")
    @classmethod
    def _is_long_enough(cls, lifetime: timedelta) -> timedelta:
        if ZERO < lifetime < timedelta(days=1):
            raise ValueError("must be 0, or at least a day: so long is a link to verify the address good")
        return lifetime


class AdministrationSettings(Group):
    """How long an owner has to stop what an administrator asked for."""

    email_change_delay: Duration = Field(timedelta(hours=24), ge=timedelta(hours=1), le=MAX_CHANGE_DELAY)


class FactorSettings(Group):
    """Second factors, of which roles everybody must have one, how long ago a sign-in may be (`recent`) for what changes
    who gets in, and how long an owner has to stop a reset.
    """

    required_roles: RoleList = ()
    recent: Duration = Field(timedelta(minutes=10), ge=timedelta(seconds=10), le=timedelta(hours=24))
    reset_delay: Duration = Field(timedelta(hours=24), ge=timedelta(hours=1), le=MAX_CHANGE_DELAY)


class PasskeySettings(Group):
    """Passkeys: the domain that they are of, the pages and apps that may use them, the pages that may frame those, and
    of which roles everybody must have one.
    """

    rp_id: RelyingPartyId | None = None
    origins: PasskeyOriginList = ()
    top_origins: PasskeyOriginList = ()
    required_roles: RoleList = ()


class ThrottleSettings(Group):
    """How much may be tried. The numbers are of failures: of one account in a row, from one address, and in all."""

    enabled: bool = True
    account_failures: int = Field(5, ge=1, le=20)
    max_delay: Duration = Field(timedelta(minutes=15), ge=timedelta(seconds=1), le=timedelta(hours=24))
    logins: int = Field(60, ge=1, le=1_000_000)
    address_failures: int = Field(100, ge=1, le=1_000_000)
    global_failures: int = Field(1000, ge=1, le=1_000_000)
    registrations: int = Field(100, ge=2, le=1_000_000)
    global_registrations: int = Field(1000, ge=2, le=1_000_000)
    links: int = Field(5, ge=2, le=1_000_000)
    address_links: int = Field(30, ge=2, le=1_000_000)
    global_links: int = Field(300, ge=2, le=1_000_000)
    changes: int = Field(20, ge=2, le=1_000_000)
    refreshes: int = Field(300, ge=1, le=1_000_000)


class SessionSettings(Group):
    max_per_user: int = Field(50, ge=1, le=10_000)


class CleanupSettings(Group):
    interval: Duration = Field(timedelta(hours=1), ge=ZERO, le=timedelta(days=30))
    batch_size: int = Field(5000, ge=1, le=5000)
    rate: int = Field(10_000, ge=0, le=1_000_000)
    min_rate: int = Field(100, ge=1, le=1_000_000)
    target: Duration = Field(timedelta(milliseconds=10), ge=timedelta(milliseconds=1), le=timedelta(seconds=10))

    @field_validator("interval")
    @classmethod
    def _lets_others_work(cls, interval: timedelta) -> timedelta:
        if ZERO < interval < timedelta(seconds=1):
            raise ValueError("must be 0 (off) or at least one second")
        return interval

    @model_validator(mode="after")
    def _rates_agree(self) -> Self:
        """A lowest rate that nobody has set follows a lower highest one; at full speed (0) there is none."""
        if "min_rate" in self.model_fields_set and 0 < self.rate < self.min_rate:
            raise ValueError("must have an AUTH_CLEANUP__MIN_RATE of at most AUTH_CLEANUP__RATE")
        return self


class AuditSettings(Group):
    """How long the trail of security events is kept; the database itself refuses to drop what is younger than P30D."""

    retention: Duration = Field(DEFAULT_AUDIT_RETENTION, ge=timedelta(days=30), le=LONGEST)


class KeySettings(Group):
    rotation_interval: Duration = Field(timedelta(days=90), ge=ZERO, le=LONGEST)

    @field_validator("rotation_interval")
    @classmethod
    def _not_too_often(cls, value: timedelta) -> timedelta:
        if ZERO < value < timedelta(hours=1):
            raise ValueError("must be 0 (off) or at least one hour")
        return value


class RevocationSettings(Group):
    """How each process follows the sessions that end anywhere. `listen` is for connections that allow it."""

    listen: bool = True
    poll_interval: Duration = Field(timedelta(seconds=1), ge=SHORTEST_WAIT, le=timedelta(seconds=5))
    stale_after: Duration = Field(timedelta(seconds=2), ge=timedelta(seconds=1), le=timedelta(minutes=1))

    @model_validator(mode="after")
    def _news_can_be_fresh(self) -> Self:
        if self.poll_interval >= self.stale_after:
            raise ValueError("must have AUTH_REVOCATIONS__STALE_AFTER longer than AUTH_REVOCATIONS__POLL_INTERVAL")
        return self


class ProxySettings(Group):
    trusted: NetworkList = ()


class CorsSettings(Group):
    """The pages of other origins that may call this service from a browser, and what they may send beside the rest."""

    origins: OriginList = ()
    headers: FieldNameList = ()


class CookieSettings(Group):
    """Whether a browser may have its refresh token in a cookie instead of a body."""

    enabled: bool = False


class ShutdownSettings(Group):
    """How long the service goes on after SIGTERM, saying that it is not ready."""

    drain: Duration = Field(timedelta(seconds=3), ge=ZERO, le=timedelta(minutes=1))


class DocsSettings(Group):
    enabled: bool | None = None


class LogSettings(Group):
    format: Annotated[Literal["json", "console"] | None, choice("json", "console")] = None
    level: Annotated[Literal["debug", "info", "warning", "error"], choice("debug", "info", "warning", "error")] = "info"
