"""What a setting may hold, and how it is read from text."""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from auth_service.roles import Role

SOURCES = SettingsConfigDict(
    env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
)
ZERO = timedelta(0)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_ORIGIN = re.compile(r"https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
_ANDROID_APP = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{27,64}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def _seconds(value: object) -> object:
    """Let plain numbers of seconds through as durations; ISO 8601 ('P14D', 'PT5M') is left to pydantic."""
    if isinstance(value, str):
        try:
            return timedelta(seconds=float(value))
        except (ValueError, OverflowError):
            return value
    return value


def _comma_separated(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _secrets(value: Any) -> Any:
    found = _comma_separated(value)
    if value and not found:
        raise ValueError("must be a secret, or several separated by commas")
    return found


def _passkey_origins(value: Any) -> Any:
    origins = _comma_separated(value)
    if not all(_is_passkey_origin(origin) for origin in origins):
        raise ValueError(
            "must be origins with https, such as https://app.example.com (http for localhost alone), or "
            "android:apk-key-hash:... of apps, separated by commas"
        )
    return origins


def _is_passkey_origin(origin: str) -> bool:
    """Whether it is what `clientDataJSON` may have as the origin: browsers offer passkeys in secure contexts alone."""
    if _ANDROID_APP.fullmatch(origin):
        return True
    is_web = bool(_ORIGIN.fullmatch(origin)) and origin_of(origin) == origin
    return is_web and (origin.startswith("https://") or urlsplit(origin).hostname == "localhost")


def _roles(value: Any) -> Any:
    roles = _comma_separated(value)
    if not set(roles) <= set(Role):
        raise ValueError(f"must be roles, separated by commas: {', '.join(Role)}")
    return tuple(dict.fromkeys(Role(role) for role in roles))


def _networks(value: Any) -> Any:
    try:
        found = tuple(ipaddress.ip_network(part) for part in _comma_separated(value))
    except ValueError:
        raise ValueError("must be networks, such as 10.0.0.0/8, separated by commas") from None
    if any(network.prefixlen == 0 for network in found):
        raise ValueError("must not be the whole internet: any client could then forge its address")
    return found


def _origins(value: Any) -> Any:
    origins = _comma_separated(value)
    if not all(_ORIGIN.fullmatch(origin) and origin_of(origin) == origin for origin in origins):
        raise ValueError("must be origins, such as https://app.example.com, separated by commas")
    return origins


def origin_of(url: str) -> str:
    """Return the origin of an http or https URL as browsers send it: in lower case, without the scheme's own port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def written_as(pattern: str, expected: str) -> AfterValidator:
    """Demand a form, and say in words what is expected: a pattern says it to nobody who reads a message."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(expected)
        return text

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
SecretList = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
RoleList = Annotated[tuple[Role, ...], NoDecode, BeforeValidator(_roles)]
NetworkList = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
PasskeyOriginList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_passkey_origins)]
OriginList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
