"""Where pages and this service itself are: URLs and origins, as browsers write them."""

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from auth_service.settings.values import comma_separated, written_as

_HOST = r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])"
_WEB_ORIGIN = re.compile(rf"https?://{_HOST}(:[1-9][0-9]{{0,4}})?")
# Of apps and browser extensions. Their hosts are compared as they are: browsers do not know what they mean.
_APP_ORIGIN = re.compile(
    r"file://|(?!(?:https?|wss?|ftp|file):)[a-z][a-z0-9+.-]*://[A-Za-z0-9._~-]+(:[1-9][0-9]{0,4})?"
)
_ANDROID_APP = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{27,64}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535

_AUTHORITY = r"https?://[^\s/?#@\\\x00-\x1f\x7f]+"
_PATH = r"(/[^\s?#\\\x00-\x1f\x7f]*)?"
_QUERY = r"(\?[^\s#\\\x00-\x1f\x7f]*)?"


def origin_of(url: str) -> str:
    """Return the origin of an http or https URL as browsers send it: in lower case, without the scheme's own port."""
    parts = urlsplit(ascii_url(url))
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{ipaddress.IPv6Address(host).compressed}]"
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def ascii_url(url: str) -> str:
    """Return the URL with its host in ASCII, as browsers send it (IDNA, as UTS 46 maps it); all else stays.

    Raises ValueError: the host has characters that no domain may have.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # whose own sentence may repeat the host
        raise ValueError("must have a host") from None
    if host.isascii():
        return url
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    name, colon, port = authority.partition(":")
    return f"{scheme}://{ascii_host(name)}{colon}{port}{rest[len(authority) :]}"


def ascii_host(name: str) -> str:
    """Return a domain in ASCII; raises ValueError if it can be none."""
    if name.isascii():
        return name
    import idna  # noqa: PLC0415  # its tables are for those few who write it otherwise

    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("must have a host that IDNA 2008 knows, or that is written in ASCII (xn--...)") from None


def _public_url(url: str) -> str:
    try:
        found, origin = ascii_url(url), origin_of(url)
    except ValueError:
        origin = ""
    if not _WEB_ORIGIN.fullmatch(origin):
        raise ValueError("must be a URL with a host, and a port up to 65535")
    return found


def _origins(value: Any) -> Any:
    return tuple(_origin(text) for text in comma_separated(value))


def _origin(text: str) -> str:
    """What browsers send for a page of this origin. `null` is what pages send that have none, whoever made them."""
    if not _is_web_origin(text) and not _is_app_origin(text):
        raise ValueError(
            "must be origins exactly as browsers send them, separated by commas, such as https://app.example.com or "
            "capacitor://localhost: no path, no '*', and not 'null', which pages of anybody send"
        )
    return ascii_url(text)


def _passkey_origins(value: Any) -> Any:
    origins = comma_separated(value)
    if not all(_is_passkey_origin(origin) for origin in origins):
        raise ValueError(
            "must be origins with https, such as https://app.example.com (http for localhost alone), or "
            "android:apk-key-hash:... of apps, separated by commas"
        )
    return tuple(origin if _ANDROID_APP.fullmatch(origin) else ascii_url(origin) for origin in origins)


def _is_passkey_origin(origin: str) -> bool:
    """Whether it is what `clientDataJSON` may have as the origin: browsers offer passkeys in secure contexts alone."""
    if _ANDROID_APP.fullmatch(origin):
        return True
    return _is_web_origin(origin) and (origin.startswith("https://") or urlsplit(origin).hostname == "localhost")


def _is_web_origin(text: str) -> bool:
    try:
        in_ascii = ascii_url(text)
        return bool(_WEB_ORIGIN.fullmatch(in_ascii)) and origin_of(in_ascii) == in_ascii
    except ValueError:
        return False


def _is_app_origin(text: str) -> bool:
    found = _APP_ORIGIN.fullmatch(text)
    return found is not None and int((found[1] or ":0")[1:]) <= _LAST_PORT


PublicUrl = Annotated[
    str,
    written_as(
        _AUTHORITY + _PATH,
        "must be a URL such as https://auth.example.com, with a path at most: no spaces, '?', '#', backslashes or "
        "credentials",
    ),
    AfterValidator(_public_url),
]
LinkUrl = Annotated[
    str,
    written_as(
        _AUTHORITY + _PATH + _QUERY,
        "must be a URL such as https://app.example.com/verify, without spaces, '#', backslashes and credentials",
    ),
    AfterValidator(ascii_url),
]
RelyingPartyId = Annotated[
    str,
    BeforeValidator(lambda value: ascii_host(value) if isinstance(value, str) else value),
    written_as(
        r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*|localhost",
        "must be a domain in lower case, such as example.com: no scheme, port or address",
    ),
]
PasskeyOriginList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_passkey_origins)]
OriginList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]
