"""Hosts of URLs, origins and servers: names and addresses, and which of them nothing can be reached by."""

import ipaddress
import re

LONGEST_NAME = 253  # RFC 1035, section 2.3.4, written without the dot at the end
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a name may not end in one: browsers take it for an address
_PUNYCODE = "xn--"


def ascii_host(name: str) -> str:
    """Return a domain in ASCII; raises ValueError if it can be none."""
    if name.isascii():
        return name
    import idna  # noqa: PLC0415  # its tables are for those few who write it otherwise

    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError(
            "must have a host of characters that domains may have (IDNA 2008), or in its ASCII form (xn--...)"
        ) from None


def check_host(host: str) -> None:
    """Look at a host in ASCII, as it stands in a URL: a name, an address of IPv4, or one of IPv6 in brackets.

    Raises:
        ValueError: no browser and no server finds anything under it; it says why, and does not repeat it.
    """
    if host.startswith("["):
        _check_ipv6(host)
    elif not host or len(host) > LONGEST_NAME:
        raise ValueError(f"must have a host of 1 to {LONGEST_NAME} characters")
    elif _NUMBER.fullmatch(host.rpartition(".")[2].lower()):
        _check_ipv4(host)
    else:
        for label in host.lower().split("."):
            _check_label(label)


def is_for_listening(host: str) -> bool:
    """Whether it is an address that servers listen on, and nobody can call."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address.is_unspecified or address.is_multicast


def _check_label(label: str) -> None:
    """Look at one part of a name (RFC 1123, section 2.1; with the underscore, which names within networks have)."""
    if not label:
        raise ValueError("must have a host without '..', and without a '.' at its beginning or end")
    if not _LABEL.fullmatch(label):
        raise ValueError(
            "must have a host whose parts are of 1 to 63 letters, digits and '-', which neither begin nor end with '-'"
        )
    if label.startswith(_PUNYCODE) and not _is_punycode(label.removeprefix(_PUNYCODE)):
        raise ValueError("must have a host whose parts with xn-- are Punycode (RFC 3492)")


def _is_punycode(text: str) -> bool:
    try:
        name = text.encode().decode("punycode")
        return not name.isascii() and name.isprintable() and name.encode("punycode").decode() == text
    except (UnicodeError, ValueError, OverflowError):
        return False


def _check_ipv4(host: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise ValueError("must have a name as its host, or an address of four numbers up to 255") from None


def _check_ipv6(host: str) -> None:
    try:
        address = ipaddress.IPv6Address(host[1:].removesuffix("]"))
    except ValueError:
        address = None
    if address is None or not host.endswith("]"):
        raise ValueError("must have a whole address of IPv6 between its brackets")
    if address.scope_id or address.is_link_local:
        raise ValueError("must have an address that means the same on every machine, without a zone ('%...')")
    if address.ipv4_mapped:
        raise ValueError("must have an address of IPv4 as such: 192.0.2.1, and not ::ffff:192.0.2.1")
