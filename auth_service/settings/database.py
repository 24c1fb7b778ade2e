"""Where the database is: `DATABASE_URL` and `DB_*`."""

from collections.abc import Set
from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from auth_service.settings.postgresql import PostgresqlUrl, WrongUrlError, read_postgresql_url
from auth_service.settings.values import LONGEST, SHORTEST_WAIT, SOURCES, ZERO, Duration

POSTGRESQL_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}
SQLITE_SCHEMES = {"sqlite", "sqlite+aiosqlite"}


class DatabaseSettings(BaseSettings):
    """Where the database is and how long anything may wait for it. Durations are in seconds or ISO 8601."""

    model_config = SettingsConfigDict(**{**SOURCES, "env_prefix": "DB_"})

    url: SecretStr = Field(SecretStr("sqlite+aiosqlite:///auth-service.db"), validation_alias="DATABASE_URL")
    read_replica_url: SecretStr | None = Field(None, validation_alias="DATABASE_READ_REPLICA_URL")
    read_replica_max_lag: Duration = Field(timedelta(minutes=1), gt=ZERO, le=timedelta(days=1))
    pool_size: int = Field(10, ge=1, le=1000)
    max_overflow: int = Field(5, ge=0, le=1000)
    pool_timeout: Duration = Field(timedelta(seconds=0.5), gt=ZERO, le=timedelta(seconds=2))
    pool_recycle: Duration = Field(timedelta(hours=1), gt=ZERO, le=LONGEST)
    pool_pre_ping: bool = True
    echo: bool = False
    statement_timeout: Duration = Field(timedelta(seconds=2), ge=SHORTEST_WAIT, le=timedelta(minutes=1))
    connect_timeout: Duration = Field(timedelta(seconds=2), ge=SHORTEST_WAIT, le=timedelta(minutes=1))
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
    def largest_pool(self) -> int:
        """How many connections there are at most."""
        return self.pool_size + self.max_overflow

    @property
    def is_postgresql(self) -> bool:
        return _scheme_of(self.url) in POSTGRESQL_SCHEMES

    @property
    def server(self) -> PostgresqlUrl:
        """What a URL of PostgreSQL says."""
        return read_postgresql_url(self.url.get_secret_value())

    @property
    def servers(self) -> dict[str, PostgresqlUrl]:
        """What each URL of PostgreSQL says, by the name of its setting."""
        urls = {"DATABASE_URL": self, "DATABASE_READ_REPLICA_URL": self.of_read_replica}
        return {name: one.server for name, one in urls.items() if one.url and one.is_postgresql}

    @property
    def location(self) -> str:
        """The URL without its scheme, from '//' on."""
        return self.url.get_secret_value().partition(":")[2]

    @property
    def of_read_replica(self) -> Self:
        """The same settings for the connections to the replica, of which there must be one."""
        return self.model_copy(update={"url": self.read_replica_url})

    @property
    def described(self) -> str:
        """Which database it is, in words and without credentials."""
        if self.is_postgresql:
            return self.server.described
        return f"SQLite file {self.sqlite_file.absolute()}" if self.sqlite_file else "SQLite in memory"

    @property
    def is_default(self) -> bool:
        """Whether no setting says where it is, so that it is a file in the working folder."""
        return "url" not in self.model_fields_set

    @property
    def is_in_memory(self) -> bool:
        """Whether it is SQLite and ends with the process."""
        return not self.is_postgresql and self.sqlite_file is None

    @property
    def sqlite_file(self) -> Path | None:
        """The SQLite file, or None for a database in memory or on a server."""
        path = self.location.partition("?")[0].removeprefix("///")
        return None if self.is_postgresql or path in {"", "//", ":memory:"} else Path(path)


def _scheme_of(url: SecretStr) -> str:
    return url.get_secret_value().partition(":")[0].lower()


def _complaint_about(url: SecretStr, schemes: Set[str], expected: str) -> str | None:
    """What is wrong with a URL, if anything."""
    scheme, text = _scheme_of(url), url.get_secret_value()
    if scheme not in schemes or not text[len(scheme) :].startswith("://"):
        return f"must start with {expected}"
    if scheme in SQLITE_SCHEMES:
        return _complaint_about_file(text.partition("://")[2])
    try:
        read_postgresql_url(text, with_files=True)
    except WrongUrlError as error:
        return str(error)
    return None


def _complaint_about_file(path: str) -> str | None:
    """What is wrong with the URL of an SQLite file."""
    if path and not path.startswith("/"):
        return "an SQLite file stands after three slashes, and one with an absolute path after four"
    if "?" in path:
        return "an SQLite file takes no options"
    return None if path.isprintable() else "must not hold line breaks or other control characters"
