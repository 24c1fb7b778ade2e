"""Where a request comes from, and which differences between two requests mean nothing."""

import re
from typing import NamedTuple

from auth_service.models.throttles import neighbourhood_of

NUMBERS = "[0-9._]+"  # of a user agent: browsers raise them all the time


class Device(NamedTuple):
    """Where a request comes from, as far as it is known."""

    user_agent: str | None = None
    ip: str | None = None

    def is_near(self, other: "Device") -> bool:
        """Whether both are in one network, a /24 of IPv4 or a /48 of IPv6; an unknown address is near to any."""
        if self.ip is None or other.ip is None:
            return True
        return self.ip == other.ip or neighbourhood_of(self.ip) == neighbourhood_of(other.ip)

    def is_alike(self, other: "Device") -> bool:
        """Whether both have one user agent, whatever its numbers are; a missing one is like any."""
        if self.user_agent is None or other.user_agent is None:
            return True
        return kind_of_device(self.user_agent) == kind_of_device(other.user_agent)


UNKNOWN_DEVICE = Device()


def kind_of_device(user_agent: str) -> str:
    """A user agent without its numbers."""
    return re.sub(NUMBERS, "", user_agent)
