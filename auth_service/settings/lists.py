"""Lists of values, separated by commas: each entry is looked at by itself, and a wrong one is told by its number."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from auth_service.roles import Role

_MAPPED = ipaddress.ip_network("::ffff:0:0/96")  # addresses of IPv4, which are compared as such
WIDEST = {4: 8, 6: 7}  # networks of an operator's own: 10.0.0.0/8 and fc00::/7
_FORBIDDEN = frozenset({
    "accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method",
    "access-control-request-private-network", "connection", "content-length", "cookie", "cookie2", "date", "dnt",
    "expect", "host", "keep-alive", "origin", "referer", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade",
    "via",
})  # fmt: skip
_FIELD_NAME = re.compile(r"(?!\*$)[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


def entries(check: Callable[[Any], object]) -> BeforeValidator:
    """Read a list separated by commas, and say of each wrong entry which one it is.

    `check` takes an entry and returns what becomes of it, or raises ValueError.
    """

    def read(value: Any) -> tuple[object, ...]:
        parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if isinstance(value, str) and value and not parts:
            raise ValueError("must have an entry, or be empty without commas")
        found, complaints = dict[object, None](), list[str]()
        for number, part in enumerate(parts, 1):
            try:
                found[check(part)] = None
            except ValueError as error:
                complaints.append(f"entry {number} {error}")
        if complaints:
            raise ValueError("\n".join(complaints))
        return tuple(found)

    return BeforeValidator(read)


def _role(entry: str) -> Role:
    try:
        return Role(entry.lower())
    except ValueError:
        raise ValueError(f"must be a role: {' or '.join(Role)}") from None


def _network(entry: Any) -> Any:
    try:
        found = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        raise ValueError("must be a network, such as 10.0.0.0/8, or one address: no name, port or range") from None
    first = found.network_address
    if found.prefixlen < WIDEST[found.version]:
        raise ValueError(
            f"must not be wider than /{WIDEST[found.version]}: with a part of the internet in it, clients could forge "
            "their addresses"
        )
    if isinstance(first, ipaddress.IPv6Address) and first.scope_id:
        raise ValueError("must be without a zone ('%...'): no address is compared with it")
    if found.overlaps(_MAPPED):
        raise ValueError("must be a network of IPv4 as such: 10.0.0.0/8, and not ::ffff:10.0.0.0/104")
    if first.is_unspecified or first.is_multicast:
        raise ValueError("must be a network that proxies call from; 0.0.0.0 and :: are to listen on")
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        raise ValueError("must begin with the first address of its network: 10.0.0.0/8, and not 10.0.0.1/8") from None


def _field_name(name: str) -> str:
    """A header that pages of browsers can set (Fetch, 2.2.2, "forbidden request-header")."""
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError("must be the name of a header; '*' is none")
    if name.lower() in _FORBIDDEN or name.lower().startswith(("proxy-", "sec-")):
        raise ValueError("must be a header that pages can set; browsers let none set this one, whatever is allowed")
    return name


SecretList = Annotated[tuple[SecretStr, ...], NoDecode, entries(lambda secret: secret)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
RoleList = Annotated[tuple[Role, ...], NoDecode, entries(_role)]
NetworkList = Annotated[tuple[Network, ...], NoDecode, entries(_network)]
FieldNameList = Annotated[tuple[str, ...], NoDecode, entries(_field_name)]
