"""Where a request comes from, as far as it can be believed."""

import ipaddress
import re
import time
from functools import lru_cache

import structlog
from starlette.types import Scope

from auth_service.logs import REQUEST_ID
from auth_service.models import REQUESTER, Device, Requester
from auth_service.settings import ProxySettings

log = structlog.get_logger()

MAX_USER_AGENT = 256
WARN_EVERY = 60.0  # seconds
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([^\[\]]+)\](?::[0-9]+)?")  # as some proxies write an address


def device_of(agent: str, peer: str, forwarded: str, proxy: ProxySettings) -> Device:
    """Return the device behind a connection from `peer` with these values of User-Agent and X-Forwarded-For."""
    if not agent.isprintable():
        agent = "".join(c for c in agent if c.isprintable())
    return Device(agent[:MAX_USER_AGENT] or None, _client_address(peer, forwarded, proxy))


def set_requester(device: Device) -> None:
    """Let whatever this request writes to the security trail say where it came from."""
    REQUESTER.set(Requester(REQUEST_ID.get(), device.ip, device.user_agent))


def address_of(scope: Scope, proxy: ProxySettings) -> str | None:
    """Return the address that a request comes from, whether or not its route has asked for it."""
    if (ip := REQUESTER.get().ip) is not None:
        return ip
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    peer = scope["client"][0] if scope["client"] else ""
    return _client_address(peer, b",".join(forwarded).decode("latin-1"), proxy)


def _client_address(peer: str, forwarded: str, proxy: ProxySettings) -> str | None:
    """The peer, or, if that is a trusted proxy, the rightmost address in X-Forwarded-For that no trusted proxy has."""
    if not forwarded:
        return _text_of(peer)
    believed: str | None = None
    named = [element for element in reversed(forwarded.split(",")) if element.strip()]  # RFC 9110, section 5.6.1
    for candidate in [peer, *named]:
        try:
            ip, text = _ip_address(candidate)
        except ValueError:
            break
        believed = text
        if not _is_of(ip, proxy):
            break
    if not is_trusted(peer, proxy):
        _UNTRUSTED.warn(peer)
    return believed


class _UntrustedPeers:
    """Tells of a gateway that is not trusted: all clients behind it have its address, and share its limits."""

    def __init__(self) -> None:
        self._told_at = float("-inf")

    def warn(self, peer: str) -> None:
        """Warn at most once a minute: anybody can send the header."""
        now = time.monotonic()
        if now - self._told_at < WARN_EVERY:
            return
        self._told_at = now
        hint = "if it is your gateway, add its network to AUTH_PROXY__TRUSTED: until then all clients share its limits"
        log.warning("proxy.untrusted", peer=peer, hint=hint)


_UNTRUSTED = _UntrustedPeers()


def is_trusted(peer: str, proxy: ProxySettings) -> bool:
    """Whether a connection from `peer` is from a trusted proxy."""
    try:
        return _is_of(_ip_address(peer)[0], proxy)
    except ValueError:
        return False


def _is_of(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, proxy: ProxySettings) -> bool:
    return any(ip in network for network in proxy.trusted)


def _text_of(peer: str) -> str | None:
    try:
        return _ip_address(peer)[1]
    except ValueError:  # a Unix socket has no address
        return None


@lru_cache(maxsize=256)  # the same few gateways, or a crowd of clients: then the last of them
def _ip_address(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, str]:
    """An address and its text, without its port and its zone, which is free text, and IPv4 as IPv4.

    Raises ValueError.
    """
    with_port = _WITH_PORT.fullmatch(text.strip())
    host = (with_port[1] or with_port[2]) if with_port else text.strip()
    address = ipaddress.ip_address(host.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return address, str(address)
