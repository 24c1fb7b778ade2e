"""What a setting may hold, and how it is read from text."""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from auth_service.roles import Role

SOURCES = SettingsConfigDict(
    env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
)
ZERO = timedelta(0)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_MAPPED = ipaddress.ip_network("::ffff:0:0/96")  # addresses of IPv4, which are compared as such
_FIELD_NAME = re.compile(r"(?!\*$)[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


def _seconds(value: object) -> object:
    """Let plain numbers of seconds through as durations; ISO 8601 ('P14D', 'PT5M') is left to pydantic."""
    if isinstance(value, str):
        try:
            return timedelta(seconds=float(value))
        except (ValueError, OverflowError):
            return value
    return value


def comma_separated(value: Any) -> Any:
    """Return the parts of a text, without empty ones; what is no text is let through."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _secrets(value: Any) -> Any:
    found = comma_separated(value)
    if value and not found:
        raise ValueError("must be a secret, or several separated by commas")
    return found


def _roles(value: Any) -> Any:
    roles = comma_separated(value)
    if not set(roles) <= set(Role):
        raise ValueError(f"must be roles, separated by commas: {', '.join(Role)}")
    return tuple(dict.fromkeys(Role(role) for role in roles))


def _networks(value: Any) -> Any:
    try:
        found = tuple(ipaddress.ip_network(part) for part in comma_separated(value))
    except ValueError:
        raise ValueError("must be networks, such as 10.0.0.0/8, separated by commas") from None
    if any(network.prefixlen == 0 for network in found):
        raise ValueError("must not be the whole internet: any client could then forge its address")
    if any(network.overlaps(_MAPPED) for network in found):
        raise ValueError("must have networks of IPv4 as such: 10.0.0.0/8, and not ::ffff:10.0.0.0/104")
    return found


def _field_names(value: Any) -> Any:
    names = comma_separated(value)
    if not all(_FIELD_NAME.fullmatch(name) for name in names):
        raise ValueError("must be names of headers, separated by commas; '*' is none")
    return names


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
FieldNameList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_field_names)]


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
