"""A PostgreSQL URL, read as libpq reads it (PostgreSQL manual, 34.1.1.2), and what of it cannot be used.

asyncpg and urllib read some of them otherwise: a '?host=' beside a host, a '+' in a value, a second '@'.
"""

import getpass
import os
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from auth_service.settings.postgresql.files import complaints_of_files, default_file
from auth_service.settings.postgresql.libpq import (
    ENCRYPTED,
    IGNORED,
    INSTEAD,
    OBEYED,
    PARAMETERS,
    PORT,
    SPELLINGS,
    SYSTEM,
    complaints,
)
from auth_service.settings.strength import is_sample_password
from auth_service.settings.values import LOOPBACK

_ENCODE = "'/', '?', '@' and '%' in the user, the password or an option must be percent-encoded ('@' as %40)"
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([^:]*))?")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_NAMED = {"user": "user", "password": "password", "database": "dbname"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class WrongUrlError(ValueError):
    """A URL cannot be used. The message names what is wrong, and holds no value of it."""


@dataclass(frozen=True)
class PostgresqlUrl:
    """Where to connect, and how. What is None or missing is the driver's own default."""

    servers: tuple[tuple[str, int | None], ...]
    """Hosts, addresses or folders of sockets, each with its port."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The driver's options, by libpq's names."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the server is told at the start."""
    ignored: tuple[str, ...] = ()
    """Options of libpq that the driver has no word for."""

    @property
    def trusts_system(self) -> bool:
        """Whether the server's certificate is judged by the authorities of the system."""
        return self.options.get("sslrootcert") == SYSTEM

    @property
    def is_elsewhere(self) -> bool:
        """Whether it leads to another machine."""
        return any(host and not host.startswith("/") and host not in LOOPBACK for host, _ in self.servers)

    @property
    def may_be_overheard(self) -> bool:
        """Whether it leads to another machine and does not demand TLS."""
        return self.is_elsewhere and self.options.get("sslmode") not in ENCRYPTED

    @property
    def has_sample_password(self) -> bool:
        return self.password is not None and is_sample_password(self.password, self.user)

    @property
    def described(self) -> str:
        """Which database it is, in words and without credentials."""
        hosts = ",".join(host if port is None else f"{_bracketed(host)}:{port}" for host, port in self.servers)
        where = f"at {hosts}" if hosts else "on this machine"
        return f"PostgreSQL database {self.database} {where}" if self.database else f"PostgreSQL {where}"


def read_postgresql_url(url: str, *, with_files: bool = False) -> PostgresqlUrl:
    """Read a URL, and libpq's variables for what it does not have; if asked, look whether its files can be used.

    Raises:
        WrongUrlError: it cannot be used.
    """
    found = _parts_of(url.partition("://")[2])
    ignored = IGNORED.intersection(found)
    parameters = {name: found.pop(name) for name in PARAMETERS if name in found}
    if "hostaddr" in found and "host" not in found:
        found["host"] = found["hostaddr"]
        ignored -= {"hostaddr"}
    options, variables = _with_variables({name: value for name, value in found.items() if name in OBEYED})
    checks = (complaints, complaints_of_files) if with_files else (complaints,)
    for complaint in (one for check in checks for one in check({**parameters, **options})):
        name, _, rest = complaint.partition(" ")
        raise WrongUrlError(f"{variables.get(name, name)} {rest}")
    named = {word: options.pop(name, None) for word, name in _NAMED.items()}
    if not named["user"] and not _has_login_name():
        raise WrongUrlError("names no user, and the one that runs this has no name")
    servers = _servers(options.pop("host", ""), options.pop("port", ""))
    return PostgresqlUrl(servers, **named, options=options, parameters=parameters, ignored=tuple(sorted(ignored)))


def _with_variables(given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The options with those of libpq's variables and what follows from them, and which variable each comes from."""
    options, variables = dict(given), dict[str, str]()
    if "service" in options or "PGSERVICE" in os.environ:  # it comes before the variables; asyncpg reads both
        return options, variables
    for name, variable in OBEYED.items():
        if variable and name not in options and (value := os.environ.get(variable)):
            options[name], variables[name] = value, variable
    if options.get("sslrootcert") == SYSTEM:
        options.setdefault("sslmode", "verify-full")
    elif options.get("sslmode") == "verify-full" and not default_file("root.crt"):
        options.setdefault("sslrootcert", SYSTEM)
    return options, variables


def _parts_of(rest: str) -> dict[str, str]:
    """What the URL itself says, decoded, by libpq's names; its query comes before the rest of it."""
    account, at, after = rest.partition("@")
    if not at or "/" in account:  # a '/' ends what may be an account: the '@' is of something else
        account, after = "", rest
    head, _, query = after.partition("?")
    hosts, _, path = head.partition("/")
    if "?" in account or "@" in head:
        raise WrongUrlError(_ENCODE)
    found = _hosts_of(hosts)
    user, _, password = account.partition(":")
    found |= {"user": _decoded(user), "password": _decoded(password), "dbname": _decoded(path)}
    for name, value in _query_of(query):
        if (name, value) in {("ssl", "true"), ("requiressl", "1")}:  # as libpq does, for the URLs of JDBC
            found.setdefault("sslmode", "require")
        elif name in OBEYED or name in PARAMETERS or name in IGNORED:
            # An unset variable must take no demand for TLS away.
            if not value and name not in {*IGNORED, "options"} - {"requiressl"}:
                raise WrongUrlError(f"the option '{name}' has no value: give it one, or take it out")
            found[name] = value
        elif "@" in query:  # perhaps of a password, so that the name is a part of it
            raise WrongUrlError(_ENCODE)
        else:
            instead = INSTEAD.get(name)
            told = f": {instead}" if instead else ": take it out; options of the server go into 'options=-c...'"
            raise WrongUrlError(f"the option '{name}' is none of PostgreSQL's own (libpq's){told}")
    return {name: value for name, value in found.items() if value}


def _hosts_of(hosts: str) -> dict[str, str]:
    """The hosts and their ports, as libpq has them: two lists."""
    if not hosts:
        return {}
    named = [_HOST_AND_PORT.fullmatch(host) for host in hosts.split(",")]
    pairs = [(_decoded(one[1].strip("[]")), _decoded(one[2] or "")) for one in named if one]
    if len(pairs) < len(named) or not all(PORT.fullmatch(port) for _, port in pairs if port):
        raise WrongUrlError(f"a port must be a number from 1 to 65535, and {_ENCODE}")
    ports = ",".join(port for _, port in pairs)
    return {"host": ",".join(host for host, _ in pairs), "port": ports if ports.strip(",") else ""}


def _query_of(query: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, query.split("&")):
        raw, is_pair, value = part.partition("=")
        name = SPELLINGS.get(raw, raw)
        if not is_pair or not _NAME.fullmatch(name):
            raise WrongUrlError(f"an option must be NAME=VALUE, and {_ENCODE}")
        yield name, _decoded(value)


def _decoded(text: str) -> str:
    """What a part says. White space around it is no part of it, such as a line break at the end of a secret's file."""
    if _STRAY.search(text):
        raise WrongUrlError(f"has a '%' without two hexadecimal digits after it: {_ENCODE}")
    try:
        found = unquote(text.strip(string.whitespace), errors="strict")
        found.encode()  # what a variable held in another encoding fails here
    except UnicodeError:
        raise WrongUrlError("must be UTF-8, also where it is percent-encoded") from None
    if _CONTROLS.search(found):
        raise WrongUrlError("must not hold line breaks or other control characters, percent-encoded or not")
    return found


def _servers(hosts: str, ports: str) -> tuple[tuple[str, int | None], ...]:
    named, numbers = hosts.split(",") if hosts else [], [int(port) if port else None for port in ports.split(",")]
    if len(numbers) == 1:
        numbers *= max(1, len(named))
    if named and len(numbers) != len(named):
        raise WrongUrlError("port must be one, or as many as there are hosts")
    if not named:
        return () if numbers == [None] else tuple(("", number) for number in numbers)
    return tuple(zip(named, numbers, strict=True))


def _has_login_name() -> bool:
    try:
        return bool(getpass.getuser())
    except (KeyError, OSError):  # a number that has no entry in /etc/passwd
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("/") else host
