"""URLs of the auth service: those that it can have, by the rules of its AUTH_PUBLIC_URL, and as its tokens name it."""

import ipaddress
import re
import unicodedata

import httpx2

_OWN_PORTS = {"http": "80", "https": "443"}
_LAST_PORT = 65535
_LONGEST_HOST = 253  # RFC 1035, section 2.3.4
_LONGEST_NAME = 255
_URL = re.compile(r"(https?)://(\[[^\[\]]*\]|[^/:\[\]]*)(?::([1-9][0-9]{0,4}))?(/.*)?", re.IGNORECASE)
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~@:+=-]+)*")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a name may not end in one: browsers take it for an address
_PUNYCODE = "xn--"
_DELIMITERS = re.compile(r"[/?#@:\\\s%\[\]]")
_NAME = re.compile(r"[!-9;-~]+|[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")  # RFC 7519, section 2: with a ':', it is a URI
_OF_WEB = ("http:", "https:")


def plain_url(text: str) -> str:
    """Return a URL of the web as the service writes its own in tokens, without a slash at the end; others as they are.

    That is as browsers write it: scheme and host in lower case, the host in ASCII, no port that is the scheme's own.

    Raises:
        ValueError: the service can have no such URL, and its operator can have set no such name.
    """
    if is_name(text) and not text.lower().startswith(_OF_WEB):
        return text
    scheme, host, port, path = _parts(text)
    address = _address(host)
    if host.endswith(".") or (address and (address.is_unspecified or address.is_multicast)):
        raise ValueError("must have the host that clients call")
    own = "" if port is None or port == _OWN_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{own}{path}"


def is_name(text: str) -> bool:
    """Whether an operator can have chosen it as the issuer or the audience of tokens."""
    return bool(_NAME.fullmatch(text)) and len(text) <= _LONGEST_NAME


def service_url(text: str) -> str:
    """Return a URL at which the service is asked, without a slash at the end.

    Raises:
        ValueError: nothing can be asked there, or it says more than where.
    """
    scheme, host, port, path = _parts(text)
    return f"{scheme}://{host}{f':{port}' if port else ''}{path}"


def _parts(text: str) -> tuple[str, str, str | None, str]:
    """Scheme, host, port and path of a URL of the web, which has nothing else."""
    text = text.strip()  # such as the line break at the end of a secret's file
    if not text.lower().startswith(("https://", "http://")):
        raise ValueError("must begin with https:// or http://")
    authority = text.partition("://")[2].partition("/")[0]
    if not text.isprintable() or re.search(r"[\s\\?#]", text) or "@" in authority:
        raise ValueError("must be without spaces, backslashes, credentials ('@'), '?' and '#'")
    found = _URL.fullmatch(text.rstrip("/"))
    if found is None or int(found[3] or 0) > _LAST_PORT:
        raise ValueError("must have a host, and after it a port from 1 to 65535 or nothing")
    if not _PATH.fullmatch(found[4] or ""):
        raise ValueError("must have a path of letters, digits and -._~@:+= between single slashes, or none")
    return found[1].lower(), _host(found[2]), found[3], found[4] or ""


def _host(text: str) -> str:
    """A host in ASCII and in lower case (IDNA, as UTS 46 maps it)."""
    host = unicodedata.normalize("NFKC", text).lower()
    if not host.isascii() and not _DELIMITERS.search(host):
        try:
            host = httpx2.URL(f"http://{host}").raw_host.decode()
        except (httpx2.InvalidURL, UnicodeError):
            host = ""
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id or address.is_link_local or address.ipv4_mapped:
            raise ValueError("must have an address that means the same everywhere, and one of IPv4 as such")
        return f"[{address.compressed}]"
    labels = host.removesuffix(".").split(".")
    if len(host) > _LONGEST_HOST or not (address or all(map(_is_label, labels))):
        raise ValueError("must have a host that domains may have, or a whole address")
    if not address and _NUMBER.fullmatch(labels[-1]):
        raise ValueError("must have a name as its host, or an address of four numbers up to 255")
    return host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.IPv6Address(host[1:-1]) if host.startswith("[") else ipaddress.IPv4Address(host)
    except ValueError:
        return None


def _is_label(label: str) -> bool:
    """Whether it is a part of a name (RFC 1123, section 2.1; with the underscore, which names within networks have)."""
    if not label.startswith(_PUNYCODE):
        return bool(_LABEL.fullmatch(label))
    text = label.removeprefix(_PUNYCODE)
    try:
        name = text.encode().decode("punycode")
        same = name.encode("punycode").decode() == text
    except (ValueError, OverflowError):
        return False
    return same and not name.isascii() and name.isprintable() and bool(_LABEL.fullmatch(label))
