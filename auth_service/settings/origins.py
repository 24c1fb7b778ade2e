"""Where pages and this service itself are: URLs and origins, as browsers write them."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from auth_service.settings.hosts import ascii_host, check_host, is_for_listening
from auth_service.settings.lists import entries
from auth_service.settings.values import written_as

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PARTS = re.compile(r"([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_HOST_AND_PORT = re.compile(r"((?>\[[^\]]*\]?)|[^:\[]*)(?::(.*))?", re.DOTALL)
# What gateways, browsers and cookies compare: one spelling for each path.
_PUBLIC_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~@:+=-]+)*/?")
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")  # RFC 3986, sections 3.3 and 3.4

# Of apps and browser extensions, in lower case as Chromium and WebKit write them. What their hosts mean is the app's.
_APP_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._~-]+(?::([1-9][0-9]{0,4}))?")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_EXTENSIONS = {"chrome-extension": r"[a-p]{32}", "moz-extension": _UUID, "safari-web-extension": _UUID}
# Their pages have an opaque origin, which is sent as null (HTML, section 7.1.1), or are of nobody but the browser.
_NO_ORIGIN = frozenset({
    "about", "blob", "chrome", "cid", "content", "data", "devtools", "file", "filesystem", "ftp", "intent", "jar",
    "javascript", "mailto", "resource", "sms", "tel", "urn", "vbscript", "view-source", "ws", "wss",
})  # fmt: skip
_ANDROID = "android:"
_ANDROID_APP = re.compile(r"android:apk-key-hash:(?:[A-Za-z0-9_-]{43}|[A-Za-z0-9_-]{27})")  # SHA-256, or SHA-1


def origin_of(url: str) -> str:
    """Return the origin of a URL of a setting as browsers send it: in lower case, without the scheme's own port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{ipaddress.IPv6Address(host).compressed}]"
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _checked(url: str, *, rooted: bool = False) -> str:
    """Return a URL of the web with its scheme in lower case and its host in ASCII (IDNA, as UTS 46 maps it).

    Raises ValueError, which says what is wrong and repeats nothing of it.
    """
    scheme, separator, after = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        raise ValueError("must begin with https:// or http://")
    if not url.isprintable() or any(character.isspace() for character in url):
        raise ValueError("must be without spaces, line breaks and other control characters")
    found = _PARTS.fullmatch(after)
    authority, path, query, fragment = found.groups() if found else ("", "", None, None)
    if "\\" in url or "@" in authority:
        raise ValueError("must be without backslashes, and without credentials ('@') before the host")
    if fragment is not None:
        raise ValueError("must be without '#' and what follows it")
    host, port = _host_and_port(authority)
    check_host(host[:-1] if rooted and host.endswith(".") else host)
    return f"{scheme}://{host}{'' if port is None else f':{port}'}{path}{query or ''}"


def _host_and_port(authority: str) -> tuple[str, str | None]:
    found = _HOST_AND_PORT.fullmatch(authority)
    if not found:
        raise ValueError("must have a host, and after it a port or nothing")
    if found[2] is not None and not (_PORT.fullmatch(found[2]) and int(found[2]) <= _LAST_PORT):
        raise ValueError(f"must have a port from 1 to {_LAST_PORT} after the ':', or neither")
    return ascii_host(found[1]), found[2]


def _public_url(text: str) -> str:
    url = _checked(text)
    parts = urlsplit(url)
    if is_for_listening(parts.hostname or ""):
        raise ValueError("must have the host that clients call; 0.0.0.0 and :: are to listen on")
    if "?" in url:
        raise ValueError("must be without '?' and what follows it")
    if not _PUBLIC_PATH.fullmatch(parts.path):
        raise ValueError(
            "must have a path of letters, digits and -._~@:+= between single slashes, without '.' or '..' as a part: "
            "others have several spellings"
        )
    return origin_of(url) + parts.path  # tokens name it, and verifiers compare it as a text


def check_issuer(name: str) -> str:
    """Return a name that operators give their tokens' issuer; if it is a URL of the web, it is one that we can have."""
    if name.lower().startswith(("http:", "https:")):
        _public_url(name)
    return name


def _link_url(text: str) -> str:
    url = _checked(text)
    parts = urlsplit(url)
    if is_for_listening(parts.hostname or ""):
        raise ValueError("must have the host that clients call; 0.0.0.0 and :: are to listen on")
    if not _ENCODED.fullmatch(parts.path + parts.query):
        raise ValueError("must have everything percent-encoded, after its host, that RFC 3986 lets not stand there")
    return url


def _web_origin(text: str, *, rooted: bool = False) -> str:
    url = _checked(text, rooted=rooted)
    if origin_of(url) != url or not text.startswith(url.partition("://")[0]):
        raise ValueError(
            "must be an origin as browsers send it: in lower case, without a path, and without the port 80 of http or "
            "443 of https"
        )
    return url


def _origin(text: str) -> str:
    """What browsers send for a page of this origin. `null` is what pages send that have none, whoever made them."""
    scheme = text.partition(":")[0].lower()
    if text.lower() == "null" or scheme in _NO_ORIGIN:
        raise ValueError(
            "must be the origin of pages of yours: those of files, data, scripts and the browser itself have none but "
            "'null', which pages of anybody send"
        )
    if scheme in _DEFAULT_PORTS:
        return _web_origin(text, rooted=True)
    found = _APP_ORIGIN.fullmatch(text)
    if scheme in _EXTENSIONS and not re.fullmatch(f"{scheme}://{_EXTENSIONS[scheme]}", text):
        raise ValueError("must have the whole id of the extension in lower case, and nothing after it")
    if not found or int(found[1] or 0) > _LAST_PORT:
        raise ValueError(
            "must be an origin exactly as browsers send it, such as https://app.example.com or capacitor://localhost: "
            "in lower case, without a path, and not '*'"
        )
    return text


def _passkey_origin(text: str) -> str:
    """What `clientDataJSON` may have as the origin: browsers offer passkeys in secure contexts alone."""
    if text.startswith(_ANDROID):
        if not _ANDROID_APP.fullmatch(text):
            raise ValueError("must be android:apk-key-hash: with the hash of the app's certificate in base64url")
        return text
    url = _web_origin(text)
    if not is_secure_context(url):
        raise ValueError("must be an origin with https, such as https://app.example.com (http for localhost alone)")
    return url


def _relying_party(domain: str) -> str:
    check_host(domain)
    return domain


def is_secure_context(url: str) -> bool:
    """Whether browsers offer passkeys to a page there."""
    return url.startswith("https://") or f".{urlsplit(url).hostname}".endswith(".localhost")


PublicUrl = Annotated[str, AfterValidator(_public_url)]
LinkUrl = Annotated[str, AfterValidator(_link_url)]
RelyingPartyId = Annotated[
    str,
    BeforeValidator(lambda value: ascii_host(value) if isinstance(value, str) else value),
    written_as(
        r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*|localhost",
        "must be a domain in lower case, such as example.com: no scheme, port, address or top-level domain",
    ),
    AfterValidator(_relying_party),
]
PasskeyOriginList = Annotated[tuple[str, ...], NoDecode, entries(_passkey_origin)]
OriginList = Annotated[tuple[str, ...], NoDecode, entries(_origin)]
