"""Where the database is: `DATABASE_URL` and `DB_*`."""

import os
import re
from collections.abc import Mapping, Sequence, Set
from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from auth_service.settings.values import LOOPBACK, SOURCES, ZERO, Duration

POSTGRESQL_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}
SQLITE_SCHEMES = {"sqlite", "sqlite+aiosqlite"}
TLS_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
SESSION_ATTRIBUTES = {"any", "primary", "standby", "prefer-standby", "read-write", "read-only"}
TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_PORT = "6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[0-5]?[0-9]{0,4}"
_PORTS = re.compile(rf"({_PORT})(,({_PORT}))*")
_HOST_AND_PORT = re.compile(rf"(\[[^\]]*\]|[^:]*)(:({_PORT}))?")


class DatabaseSettings(BaseSettings):
    """Where the database is and how long anything may wait for it. Durations are in seconds or ISO 8601."""

    model_config = SettingsConfigDict(**{**SOURCES, "env_prefix": "DB_"})

    url: SecretStr = Field(SecretStr("sqlite+aiosqlite:///auth-service.db"), validation_alias="DATABASE_URL")
    read_replica_url: SecretStr | None = Field(None, validation_alias="DATABASE_READ_REPLICA_URL")
    read_replica_max_lag: Duration = Field(timedelta(minutes=1), gt=ZERO, le=timedelta(days=1))
    pool_size: int = Field(10, ge=1, le=1000)
    max_overflow: int = Field(5, ge=0, le=1000)
    pool_timeout: Duration = Field(timedelta(seconds=0.5), gt=ZERO, le=timedelta(seconds=2))
    pool_recycle: Duration = Field(timedelta(hours=1), gt=ZERO)
    pool_pre_ping: bool = True
    echo: bool = False
    statement_timeout: Duration = Field(timedelta(seconds=2), gt=ZERO, le=timedelta(minutes=1))
    connect_timeout: Duration = Field(timedelta(seconds=2), gt=ZERO, le=timedelta(minutes=1))
    pgbouncer: bool = False

    @model_validator(mode="after")
    def _urls_can_be_used(self) -> Self:
        expected = "'postgres://', 'postgresql://', 'postgresql+asyncpg://' or 'sqlite+aiosqlite://'"
        complaints = {"DATABASE_URL": _complaint_about(self.url, POSTGRESQL_SCHEMES | SQLITE_SCHEMES, expected)}
        if self.read_replica_url:
            complaint = _complaint_about(self.read_replica_url, POSTGRESQL_SCHEMES, "'postgresql://'")
            if not complaint and not complaints["DATABASE_URL"] and not self.is_postgresql:
                complaint = "needs a DATABASE_URL of PostgreSQL"
            complaints["DATABASE_READ_REPLICA_URL"] = complaint
        if any(complaints.values()):
            raise ValueError("\n".join(f"{name}: {complaint}" for name, complaint in complaints.items() if complaint))
        return self

    @property
    def is_postgresql(self) -> bool:
        return urlsplit(self.url.get_secret_value()).scheme in POSTGRESQL_SCHEMES

    @property
    def location(self) -> str:
        """The URL without its scheme, from '//' on."""
        return self.url.get_secret_value().partition(":")[2]

    @property
    def of_read_replica(self) -> Self:
        """The same settings for the connections to the replica, of which there must be one."""
        return self.model_copy(update={"url": self.read_replica_url})

    @property
    def may_be_overheard(self) -> bool:
        """Whether a connection leads to another machine and its URL, or libpq's variable, does not demand TLS."""
        parts = urlsplit(self.url.get_secret_value())
        options = parse_qs(parts.query)
        named = [_HOST_AND_PORT.fullmatch(host) for host in parts.netloc.rpartition("@")[2].split(",")]
        hosts = {unquote(match[1]).strip("[]") for match in named if match}
        hosts |= {host for hosts in options.get("host", ()) for host in hosts.split(",")}
        mode = options.get("sslmode", [os.environ.get("PGSSLMODE", "")])[-1]
        leaves = any(host and not host.startswith("/") and host not in LOOPBACK for host in hosts)
        return self.is_postgresql and leaves and mode not in {"require", "verify-ca", "verify-full"}

    @property
    def described(self) -> str:
        """Which database it is, in words and without credentials."""
        if not self.is_postgresql:
            return f"SQLite file {self.sqlite_file.absolute()}" if self.sqlite_file else "SQLite in memory"
        parts = urlsplit(self.url.get_secret_value())
        if "@" in parts.path + parts.query + parts.fragment:  # of a password, perhaps, that is not percent-encoded
            return "PostgreSQL"
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        host = unquote(parts.netloc.rpartition("@")[2]) or options.get("host") or os.environ.get("PGHOST")
        path = unquote(parts.path.removeprefix("/"))
        name = path or options.get("dbname") or options.get("database") or os.environ.get("PGDATABASE")
        where = f"at {host}" if host else "on this machine"
        return f"PostgreSQL database {name} {where}" if name else f"PostgreSQL {where}"

    @property
    def sqlite_file(self) -> Path | None:
        """The SQLite file, or None for a database in memory or on a server."""
        path = self.location.partition("?")[0].removeprefix("///")
        return None if self.is_postgresql or path in {"", "//", ":memory:"} else Path(path)


def _complaint_about(url: SecretStr, schemes: Set[str], expected: str) -> str | None:
    """What is wrong with a URL, if anything."""
    try:
        parts = urlsplit(url.get_secret_value())
    except ValueError:
        return "must be a URL"
    if parts.scheme not in schemes:
        return f"must start with {expected}"
    if parts.scheme in SQLITE_SCHEMES:
        return None
    # As in libpq there may be several hosts, each with a port, and an IPv6 address stands in brackets.
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if not all(_HOST_AND_PORT.fullmatch(host) for host in hosts):
        return "a port must be a number, and ':/@' in a password percent-encoded"
    return _complaint(parse_qs(parts.query))


def _complaint(options: Mapping[str, Sequence[str]]) -> str | None:
    """What is wrong with the options of a PostgreSQL URL; the driver would say it at every connection, and wait."""
    for name, allowed in (("sslmode", TLS_MODES), ("target_session_attrs", SESSION_ATTRIBUTES)):
        if not allowed.issuperset(options.get(name, ())):
            return f"{name} must be one of {', '.join(sorted(allowed))}"
    if not all(_PORTS.fullmatch(ports) for ports in options.get("port", ())):
        return "a port must be a number"
    for name in TLS_FILES:
        if not all(_is_readable(Path(file)) for file in options.get(name, ())):
            return f"{name} must be a readable file"
    return None


def _is_readable(file: Path) -> bool:
    return file.is_file() and os.access(file, os.R_OK)
