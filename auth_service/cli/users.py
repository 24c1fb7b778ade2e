"""`auth-service users`: accounts, looked after by hand."""

import click

from auth_service.cli.common import run_with_database
from auth_service.repositories.database import Database
from auth_service.services.account_states import AccountStates
from auth_service.settings import Settings


@click.group()
def users() -> None:
    """Look after accounts."""


@users.command()
@click.argument("email")
def disable(email: str) -> None:
    """Disable the account of EMAIL. Its sessions end for good, also if it is enabled again."""
    ended = _set_active(email, active=False)
    click.echo(f"disabled; {ended} sessions ended")


@users.command()
@click.argument("email")
def enable(email: str) -> None:
    """Let the owner of a disabled account sign in again."""
    _set_active(email, active=True)
    click.echo("enabled")


def _set_active(email: str, *, active: bool) -> int:
    async def run(database: Database, _settings: Settings) -> int:
        return await AccountStates(database).set_active(email, active=active)

    return run_with_database(run, tell=True)
