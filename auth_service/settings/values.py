"""What a setting may hold, and how it is read from text."""

import ipaddress
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

SOURCES = SettingsConfigDict(
    env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
)
ZERO = timedelta(0)


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


def _networks(value: Any) -> Any:
    try:
        return tuple(ipaddress.ip_network(part) for part in _comma_separated(value))
    except ValueError:
        raise ValueError("must be networks, such as 10.0.0.0/8, separated by commas") from None


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
SecretList = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_comma_separated)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NetworkList = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
