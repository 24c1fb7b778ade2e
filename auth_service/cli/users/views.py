"""`auth-service users list` and `show`: show accounts."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

import click

from auth_service.cli.common import run_with_database, whose
from auth_service.cli.numbers import WholeNumber
from auth_service.logs import escaped
from auth_service.models import (
    AccountView,
    ChangeKind,
    FactorPolicy,
    FactorView,
    PendingChange,
    RefreshToken,
    SessionRules,
    Slice,
    User,
)
from auth_service.repositories.database import Database
from auth_service.repositories.users.search import UserFilter
from auth_service.services.administration.directory import Directory, ShownUser
from auth_service.settings import Settings

PAGE = 1000
STATES: dict[str, dict[str, bool]] = {
    "active": {"is_active": True}, "disabled": {"is_active": False},
    "verified": {"is_verified": True}, "unverified": {"is_verified": False},
}  # fmt: skip
ACCOUNT = tuple(column.name for column in fields(AccountView))
FACTOR = ("id", "kind", "name", "created_at", "last_used_at")
SESSION = ("id", "created_at", "last_used_at", "expires_at", "user_agent", "ip", "last_user_agent", "last_ip")


@click.command("list")
@click.option("--role", help="Only accounts with this role.")
@click.option("--state", type=click.Choice(list(STATES)), help="Only accounts in this state.")
@click.option("--search", "fragment", metavar="TEXT", help="Only accounts with this in address or username.")
@click.option(
    "--without-factor",
    is_flag=True,
    help="Only accounts without what their role must have, a second factor or a passkey; if no role must have one, all "
    "without a second factor.",
)
@click.option("--limit", default=100, show_default=True, type=WholeNumber(1, 10_000_000), help="Number of accounts.")
@click.option("--json", "as_json", is_flag=True, help="Print each account as a line of JSON.")
def list_users(
    role: str | None, state: str | None, fragment: str | None, limit: int, *, without_factor: bool, as_json: bool
) -> None:
    """Show accounts, newest first."""
    wanted = UserFilter(role=role, fragment=fragment, **STATES.get(state or "", {}))  # type: ignore[arg-type]

    async def print_page(database: Database, settings: Settings) -> None:
        policy = FactorPolicy.from_settings(settings) if without_factor else None
        chosen = wanted._replace(without_factor=policy)
        async for user in _read(_directory(database, settings), chosen, limit):
            told = _told(user, ACCOUNT)
            click.echo(json.dumps(told) if as_json else escaped("  ".join(_cell(value) for value in told.values())))

    run_with_database(print_page)


@click.command()
@whose
@click.option("--json", "as_json", is_flag=True, help="Print the account as JSON.")
def show(account: str, *, as_json: bool) -> None:
    """Show an account, what is planned for it, its second factors and its active sessions.

    Another e-mail address can be planned, and a reset of the second factors.
    """
    from auth_service.services.administration.operators import Operators  # noqa: PLC0415  # `list` needs none of it

    async def find_user(database: Database, settings: Settings) -> tuple[ShownUser, list[RefreshToken]]:
        user_id, directory = await Operators(database).find_id(account), _directory(database, settings)
        shown = await directory.show(user_id, Slice(PAGE), ended_too=False)
        page, sessions = shown.sessions, [*shown.sessions.items]
        while page.next:
            page = (await directory.show(user_id, Slice(PAGE, page.next), ended_too=False)).sessions
            sessions += page.items
        return shown, sessions

    found, read = run_with_database(find_user)
    user, pending = found.user, _pending(found.pending)
    factors = [_told(factor, FACTOR) for factor in found.factors]
    sessions = [_told(session, SESSION) for session in read]
    if as_json:
        told = {**_told(user, ACCOUNT), **pending, "factors": factors, "sessions": sessions}
        click.echo(json.dumps(told, indent=2))
        return
    for name, value in _told(user, ACCOUNT).items():
        click.echo(escaped(f"{name}: {_cell(value)}"))
    planned = [(name, [change]) for name, change in pending.items() if change]
    for name, rows in (*planned, ("factor", factors), ("session", sessions)):
        for row in rows:
            click.echo(escaped(f"{name}: " + "  ".join(_cell(value) for value in row.values())))


def _pending(changes: Mapping[ChangeKind, PendingChange]) -> dict[str, dict[str, str] | None]:
    """The same of what is planned, by the names that the admin API has for it."""
    told: dict[str, dict[str, str] | None] = {"pending_email": None, "pending_factors_reset": None}
    if email := changes.get(ChangeKind.EMAIL):
        told["pending_email"] = {"email": email.new_email or "", "effective_at": _text(email.effective_at)}
    if reset := changes.get(ChangeKind.FACTORS):
        told["pending_factors_reset"] = {"effective_at": _text(reset.effective_at)}
    return told


def _directory(database: Database, settings: Settings) -> Directory:
    return Directory(database, SessionRules.from_settings(settings))


async def _read(directory: Directory, wanted: UserFilter, limit: int) -> AsyncIterator[User]:
    """Yield up to `limit` users; no connection is held between two pages of them."""
    page = await directory.page(wanted, 1, min(limit, PAGE))
    while True:
        for user in page.users:
            yield user
        limit -= len(page.users)
        if page.is_last or limit <= 0:
            return
        last = page.users[-1]
        page = await directory.go_on(wanted, (last.created_at, last.id), min(limit, PAGE))


def _told(row: User | RefreshToken | FactorView, names: tuple[str, ...]) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in names}
    return {name: value if isinstance(value, bool | None) else _text(value) for name, value in found.items()}


def _text(value: Any) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def _cell(value: str | bool | None) -> str:
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else value
