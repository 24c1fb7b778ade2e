"""How often something may be tried, as pure rules, and the table of how often it was."""

import hashlib
import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import LargeBinary
from sqlmodel import Field

from auth_service.models.table import Table, UtcDateTime

ADDRESS_WINDOW = timedelta(minutes=10)
GLOBAL_WINDOW = timedelta(minutes=1)
FAILURES_KEPT = timedelta(hours=48)  # after the last one: the longest block, and a day beyond it
KNOWN_FOR = timedelta(days=90)
MOST_IN_A_ROW = 50  # NIST SP 800-63B-4, 3.2.2, asks for 100 at most
HARD_STOP = timedelta(hours=24)
IPV6_PREFIX = 64  # a client with one address of such a network has all of them
WIDER_PREFIXES = ((56, 2), (48, 4))
"""Networks of IPv6 that one client may have too, and how many times what a /64 may do each may do."""


class Whom(StrEnum):
    """Whose attempts a tally counts: a stranger comes from a network that the account was never signed in to from."""

    ANYBODY = "anybody"
    KNOWN = "known"
    STRANGER = "stranger"


class Allowance(NamedTuple):
    """How many failures a tally may have, and what follows.

    With `delays`, failures are counted in a row: from each number of them on, the next attempt has to wait so long, and
    a success wipes them out. Without, they are counted in a window of `memory`, which is closed to its end by the last
    that was allowed; a success neither counts nor wipes anything out. With `counts_successes`, the reverse.
    """

    by: str
    failures: int
    memory: timedelta
    delays: tuple[tuple[int, timedelta], ...] = ()
    renewed: bool = False
    """Whether each failure starts the memory anew."""
    counts_successes: bool = False
    """Whether those count, in a window, and failures do not."""


@dataclass(frozen=True)
class Tally:
    """One count that an attempt goes on; `of_account` until `about()` tells of which, and then under another key."""

    key: bytes = field(repr=False)
    allowance: Allowance
    whom: Whom = Whom.ANYBODY
    of_account: bool = False

    def about(self, account: bytes) -> "Tally":
        """Return that of an account, by the bytes of its id or what stands for it. PostgreSQL can make the key too."""
        if not self.of_account:
            return self
        return Tally(hashlib.sha256(self.key + account).digest(), self.allowance, self.whom)


def growing_delays(free: int, longest: timedelta) -> tuple[tuple[int, timedelta], ...]:
    """From `free` failures on: 1 s, 2 s, 4 s and so on up to `longest`, and the hard stop after 50."""
    delays: list[tuple[int, timedelta]] = []
    delay = timedelta(seconds=1)
    while delay < longest:
        delays.append((free + len(delays), delay))
        delay *= 2
    return (*delays, (free + len(delays), longest), (MOST_IN_A_ROW, HARD_STOP))


def neighbourhood_of(client_ip: str | None) -> str | None:
    """The wider network that a device may well change its address in: a /24 of IPv4, a /48 of IPv6."""
    if client_ip is None:
        return None
    parsed = ipaddress.ip_address(client_ip)
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))  # noqa: PLR2004


def network_of(client_ip: str | None) -> str:
    """What counts as one place: an IPv4 address, or the /64 network of an IPv6 address; '' if it is not known."""
    if client_ip is None:
        return ""
    parsed = ipaddress.ip_address(client_ip)
    return client_ip if parsed.version == 4 else str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))  # noqa: PLR2004


def networks_of(client_ip: str | None, allowance: Allowance) -> tuple[tuple[str, Allowance], ...]:
    """Where an attempt from this address counts, and what is allowed there: its network, and with IPv6 wider ones."""
    narrowest = (network_of(client_ip), allowance)
    if client_ip is None or ipaddress.ip_address(client_ip).version == 4:  # noqa: PLR2004
        return (narrowest,)
    wider = (
        (str(ipaddress.ip_network((client_ip, prefix), strict=False)), times * allowance.failures)
        for prefix, times in WIDER_PREFIXES
    )
    return (narrowest, *((network, allowance._replace(failures=failures)) for network, failures in wider))


class Throttle(Table, table=True):
    """How often something was tried: under a keyed hash, so that no address is in here.

    `pending` attempts are let in and not decided yet; after `pending_until` they count as failures. After `expires_at`
    the row means nothing.
    """

    __tablename__ = "throttles"
    __table_args__: ClassVar[Any] = ({"postgresql_with": {"fillfactor": 85}},)

    key: bytes = Field(primary_key=True, sa_type=LargeBinary(32))
    failures: int
    pending: int
    pending_until: datetime = Field(sa_type=UtcDateTime)
    blocked_until: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


THROTTLES = Table.metadata.tables["throttles"]
