"""Where the service is: passwords and tokens go there, so nobody on the way may read them."""

from ipaddress import ip_address

import httpx2

NOT_OF_A_SERVICE = "@?#\\ "  # a user, a query, a fragment; and what some take for a slash
LAST_PORT = 65_535


def checked(url: str, *, plain_http: bool = False) -> str:
    """Return the URL of a service, without a slash at its end; `plain_http` allows `http://` to any host.

    Raises:
        ValueError: it has no host, a port that there is not, a user, a query or a fragment, or it is neither `https://`
            nor of this machine.
    """
    try:
        parts = httpx2.URL(url)  # as whatever sends the requests reads it
    except (httpx2.InvalidURL, TypeError):
        parts = httpx2.URL("")
    is_private = parts.scheme == "https" or (parts.scheme == "http" and (plain_http or _is_this_machine(parts.host)))
    is_place = parts.host and (parts.port is None or 0 < parts.port <= LAST_PORT)
    if not is_private or not is_place or any(mark in url for mark in NOT_OF_A_SERVICE):
        raise ValueError("the URL of the service must be like https://auth.example.com; http:// is for this machine")
    return url.rstrip("/")


def _is_this_machine(host: str) -> bool:
    """Whether the host is a loopback address, or a name that stands for one (RFC 6761, section 6.3)."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return f".{host}".endswith(".localhost")
