"""`auth-service users create`, `disable`, `enable`, `set-role` and `delete`: one account at a time."""

import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import click

from auth_service.cli.common import confirm, run_with_database, whose
from auth_service.database.notifications import Notifications
from auth_service.errors import InvalidPassword
from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import Role, User
from auth_service.repositories.database import Database
from auth_service.security.passwords.hashing import Passwords
from auth_service.services.accounts.status import set_account_active
from auth_service.services.administration.administration import Administration
from auth_service.services.administration.operators import Operators, hash_chosen
from auth_service.services.mail.asked_policy import ask_address_policy
from auth_service.services.mail.notices import Notices
from auth_service.services.passwords.policy import PasswordPolicy
from auth_service.services.sessions.revocations import Revocations
from auth_service.settings import Settings

Result = TypeVar("Result")

ROLES = click.Choice([role.value for role in Role])


@click.command()
@click.argument("email")
@click.option("--username", help="A name to sign in with, as well as the e-mail address.")
@click.option("--role", type=ROLES, default=Role.USER.value, show_default=True, help="The role of the account.")
@click.option("--verified", is_flag=True, help="Mark the e-mail address as verified.")
@click.option("--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--no-password", is_flag=True, help="The owner must set a password by e-mail before signing in.")
def create(email: str, username: str | None, role: str, *, verified: bool, from_stdin: bool, no_password: bool) -> None:
    """Create an account for EMAIL; prompts for a password. Use it to create the first administrator."""
    if no_password and from_stdin:
        raise click.UsageError("--password-stdin and --no-password cannot be used together.")
    password = None if no_password else _password(from_stdin=from_stdin)

    async def add(database: Database, settings: Settings) -> User:
        policy = PasswordPolicy(settings.password, settings.base_url)
        try:
            hashed = await hash_chosen(password, (email, username), policy, Passwords(settings.password))
        except InvalidPassword as refused:
            raise click.ClickException(refused.detail) from None
        addresses = await ask_address_policy(settings, email)
        return await Operators(database).create(email, username, hashed, Role(role), addresses, is_verified=verified)

    click.echo(f"created: {run_with_database(add, tell=True).id}")


@click.command()
@whose
def disable(account: str) -> None:
    """Disable an account. Its sessions end for good, even if it is enabled again."""
    click.echo(f"disabled; sessions ended: {_set_active(account, active=False)}")


@click.command()
@whose
def enable(account: str) -> None:
    """Enable a disabled account, so that its owner can sign in again."""
    _set_active(account, active=True)
    click.echo("enabled")


@click.command("set-role")
@whose
@click.argument("role", type=ROLES)
def set_role(account: str, role: str) -> None:
    """Change the role of an account. Its sessions end, because access tokens carry the role."""
    administer(account, lambda administration, user_id: administration.set_role(user_id, Role(role)))
    click.echo(f"role: {role}")


@click.command()
@whose
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete(account: str, *, yes: bool) -> None:
    """Delete an account and its sessions permanently. Its security events are kept."""
    if not yes:
        confirm(f"Delete {account} permanently?")
    administer(account, lambda administration, user_id: administration.delete(user_id))
    click.echo("deleted")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("No terminal to prompt for a password: use --password-stdin or --no-password.")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def _set_active(account: str, *, active: bool) -> int:
    async def end(database: Database, _settings: Settings) -> int:
        user_id = await Operators(database).find_id(account)
        return len(await set_account_active(database, user_id, active=active))

    return run_with_database(end, tell=True)


def administer(account: str, work: Callable[[Administration, UUID], Coroutine[Any, Any, Result]]) -> Result:
    """Do to an account what administrators do over HTTP, and return what came of it."""

    async def work_on_account(database: Database, settings: Settings) -> Result:
        addresses = AddressPolicy(takes_in_house=settings.takes_in_house_domains)
        # What this process knows of ended sessions ends with it; those that serve hear of them from the database.
        revocations = Revocations(database, Notifications(settings.database), settings.revocations, timedelta(0))
        user_id = await Operators(database).find_id(account)
        return await work(Administration(database, revocations, Notices(is_configured=False), addresses), user_id)

    return run_with_database(work_on_account, tell=True)
