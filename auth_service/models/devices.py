"""Where a request comes from, which differences between two mean nothing, and what mails call a device."""

import re
from typing import NamedTuple

from auth_service.models.throttles import neighbourhood_of

NUMBERS = "[0-9._]+"  # of a user agent: browsers raise them all the time
# What a user agent has to hold, and the name for it; the first that fits. Browsers also name those that they descend
# from: Edge says Chrome too, and nearly all say Safari.
BROWSERS = (
    (("Edg/", "EdgA/", "EdgiOS/"), "Edge"),
    (("OPR/", "OPT/"), "Opera"),
    (("SamsungBrowser/",), "Samsung Internet"),
    (("Vivaldi/",), "Vivaldi"),
    (("Firefox/", "FxiOS/"), "Firefox"),
    (("Chrome/", "CriOS/"), "Chrome"),
    (("Safari/",), "Safari"),
)
SYSTEMS = (
    (("iPhone",), "iPhone"),
    (("iPad",), "iPad"),
    (("Android",), "Android"),
    (("Windows",), "Windows"),
    (("CrOS",), "ChromeOS"),
    (("Macintosh", "Mac OS X"), "macOS"),
    (("Linux",), "Linux"),
)
UNKNOWN_APP = "an unknown app"


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


def name_of_device(user_agent: str) -> str:
    """Return `Firefox on Windows`, `Firefox`, `an unknown app on Windows` or `an unknown app`: never a word of the
    request's own.
    """
    browser = _first(BROWSERS, user_agent) or UNKNOWN_APP
    system = _first(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first(names: tuple[tuple[tuple[str, ...], str], ...], user_agent: str) -> str | None:
    return next((name for marks, name in names if any(mark in user_agent for mark in marks)), None)
