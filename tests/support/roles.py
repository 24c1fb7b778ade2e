"""The roles of `deploy/sql/` for tests: the owner migrates, the service serves; a test's own SQL may do everything.

On a server that the environment names, the roles have names of their own, so that none of a real installation is
touched, and a password that every process of the run knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from tests.support.server import run_command

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

Role = Literal["owner", "app", "cleanup"]
ROLES: tuple[Role, ...] = ("owner", "app", "cleanup")
FILES = Path(__file__).parents[2] / "deploy" / "sql"
_ONE_AT_A_TIME = "SELECT pg_advisory_lock(20260101);"  # roles belong to the whole server, which other processes share

_users: dict[str, dict[Role, str]] = {}  # "name:password" for each role, by the URL of a database that knows them


def as_role(url: str, role: Role) -> str:
    """The URL of the same database for one of the roles; the URL itself if the database knows no roles."""
    user = _users.get(url, {}).get(role)
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}").geturl() if user else url


def as_owner(url: str) -> str:
    """The URL of the owner for one of `as_role()`; the URL itself if it is of no role."""
    place = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2])
    known = (one for one in _users if urlsplit(one)._replace(netloc=urlsplit(one).netloc.rpartition("@")[2]) == place)
    found = next(known, None)
    return as_role(found, "owner") if found else url


def grant_words(url: str) -> list[str]:
    """What `migrate` is told of the role that serves, if the database knows one."""
    return ["--grant-to", str(urlsplit(as_role(url, "app")).username)] if url in _users else []


def inherit(copy_url: str, url: str) -> None:
    """Note that a copy of a database knows the same roles."""
    if url in _users:
        _users[copy_url] = _users[url]


def may_make_roles(postgres: Postgres) -> bool:
    return postgres.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "t"


def prepare(postgres: Postgres, name: str, environment: Callable[[str], dict[str, str]], folder: Path) -> None:
    """Make a database as the operators' page says: `roles.sql`, `migrate` as the owner, `grants.sql`.

    `environment` turns a URL into the environment of a command. Somebody who may not make roles gets a database without
    them, and does everything.
    """
    distinguished = may_make_roles(postgres)
    if distinguished:
        make_roles(postgres, name)
    else:
        postgres.create_database(name)
    done = run_command("migrate", env=environment(as_role(postgres.url(name), "owner")), cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    if distinguished:
        grant(postgres, name)


def make_roles(postgres: Postgres, name: str) -> None:
    """Run `roles.sql` for a database of this name."""
    names, password = _names(postgres), _password(postgres)
    passwords = "".join(f"ALTER ROLE {user} PASSWORD '{password}';\n" for user in names.values())
    postgres.execute(f"{_ONE_AT_A_TIME}\n\\set database {name}\n{_sql(postgres, 'roles.sql')}\n{passwords}")
    _users[postgres.url(name)] = {role: f"{user}:{password}" for role, user in names.items()}


def grant(postgres: Postgres, name: str) -> None:
    """Run `grants.sql` as the owner."""
    postgres.execute(f"SET ROLE {_names(postgres)['owner']};\n{_sql(postgres, 'grants.sql')}", name)


def drop_roles(postgres: Postgres) -> None:
    """Drop the roles, unless a database of another process of the run needs them."""
    with suppress(RuntimeError):
        postgres.execute(f"{_ONE_AT_A_TIME} DROP ROLE IF EXISTS {', '.join(_names(postgres).values())}")


def _names(postgres: Postgres) -> dict[Role, str]:
    return {role: postgres.role_prefix + role for role in ROLES}


def _password(postgres: Postgres) -> str:
    return hashlib.sha256(f"of tests only: {postgres.url('postgres')}".encode()).hexdigest()


def _sql(postgres: Postgres, file: str) -> str:
    sql = (FILES / file).read_text("utf-8")
    for role, name in _names(postgres).items():
        sql = sql.replace(f"auth_{role}", name)
    return sql
