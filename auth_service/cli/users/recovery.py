"""`auth-service users reset-password`, `verify`, `end-sessions`, `set-email` and `reset-factors`: for owners who cannot
help themselves.

What the owner is told by mail is written to the outbox, and sent by the processes that serve.
"""

import json
from datetime import datetime

import click

from auth_service.cli.common import confirm, run_with_database, whose
from auth_service.cli.users.accounts import administer
from auth_service.models import LINKS, MailKind
from auth_service.repositories.database import Database
from auth_service.services.administration.operators import Operators
from auth_service.services.mail.asked_policy import ask_address_policy
from auth_service.services.mail.link_issuer import LinkIssuer
from auth_service.services.mail.notices import Notices
from auth_service.settings import Settings

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command("reset-password")
@whose
@as_json_option
def reset_password(account: str, *, as_json: bool) -> None:
    """Print a link to choose a new password. Needs no mail server; nothing changes until the link is used."""

    async def make_link(database: Database, settings: Settings) -> str:
        operators = Operators(database)
        link = await operators.reset_link(await operators.find_id(account), LinkIssuer(settings))
        if settings.database.is_postgresql and not (settings.is_public_url_set or settings.mail.reset_url):
            click.echo(f"AUTH_PUBLIC_URL is not set: the link leads to {settings.base_url}.", err=True)
        return link

    link, lifetime = run_with_database(make_link, tell=True), LINKS[MailKind.RESET_PASSWORD][1]
    seconds = round(lifetime.total_seconds())
    click.echo(json.dumps({"link": link, "expires_in": seconds}) if as_json else link)
    if not as_json:
        click.echo(f"The link works once, within {seconds // 60} minutes. A newer one replaces it.", err=True)


@click.command()
@whose
def verify(account: str) -> None:
    """Mark the e-mail address of an account as verified."""

    async def mark_verified(database: Database, _settings: Settings) -> None:
        operators = Operators(database)
        await operators.verify_email(await operators.find_id(account))

    run_with_database(mark_verified, tell=True)
    click.echo("verified")


@click.command("end-sessions")
@click.argument("account", metavar="[EMAIL|USERNAME|ID]", required=False)
@click.option("--all", "of_all", is_flag=True, help="End the sessions of all accounts, as after a restored backup.")
@click.option("--yes", is_flag=True, help="With --all: do not ask for confirmation.")
@as_json_option
def end_sessions(account: str | None, *, of_all: bool, yes: bool, as_json: bool) -> None:
    """End all sessions of an account, or with --all of every account. Their owners can sign in again.

    With --all, access tokens stay valid until they expire, unless their key is revoked.
    """
    if of_all == (account is not None):
        raise click.UsageError("Missing argument 'EMAIL|USERNAME|ID', or --all: one of them.")
    if account is None:
        _end_all_sessions(asks=not yes, as_json=as_json)
        return
    ended = administer(account, lambda administration, user_id: administration.end_sessions(user_id))
    click.echo(json.dumps({"ended": ended}) if as_json else f"sessions ended: {ended}")


def _end_all_sessions(*, asks: bool, as_json: bool) -> None:
    async def end_all(database: Database, _settings: Settings) -> int:
        return await Operators(database).end_all_sessions()

    if asks:
        confirm("End the sessions of all accounts?")
    accounts = run_with_database(end_all, tell=True)
    told = f"sessions ended; accounts, with a session or without: {accounts}"
    click.echo(json.dumps({"accounts": accounts}) if as_json else told)


@click.command("set-email")
@whose
@click.argument("email")
@click.option("--verified", is_flag=True, help="Mark the new address as verified.")
def set_email(account: str, email: str, *, verified: bool) -> None:
    """Change the e-mail address of an account to EMAIL at once. Its sessions stay; links sent before are dead."""

    async def change(database: Database, settings: Settings) -> None:
        operators, notices = Operators(database), Notices(is_configured=settings.sends_mail)
        addresses = await ask_address_policy(settings, email)
        await operators.set_email(await operators.find_id(account), email, notices, addresses, is_verified=verified)

    run_with_database(change, tell=True)
    click.echo(f"changed; the new address is {'verified' if verified else 'not verified'}")


@click.command("reset-factors")
@whose
@click.option("--now", is_flag=True, help="Without the delay in which the owner can stop it.")
@click.option("--yes", is_flag=True, help="With --now: do not ask for confirmation.")
@as_json_option
def reset_factors(account: str, *, now: bool, yes: bool, as_json: bool) -> None:
    """Remove the second factors and recovery codes of an account, whose password alone then signs in.

    It takes effect after a delay, as for administrators, and the owner is told by e-mail. All sessions end with it.
    """

    async def plan(database: Database, settings: Settings) -> datetime:
        operators, notices = Operators(database), Notices(is_configured=settings.sends_mail)
        user_id = await operators.find_id(account)
        return await operators.plan_factor_reset(user_id, notices, settings.factors.reset_delay)

    async def reset(database: Database, settings: Settings) -> int:
        operators, notices = Operators(database), Notices(is_configured=settings.sends_mail)
        return await operators.reset_factors(await operators.find_id(account), notices)

    if not now:
        effective_at = run_with_database(plan, tell=True).isoformat().replace("+00:00", "Z")
        click.echo(json.dumps({"effective_at": effective_at}) if as_json else f"takes effect at: {effective_at}")
        return
    if not yes:
        confirm(f"Remove the second factors of {account} at once?")
    ended = run_with_database(reset, tell=True)
    click.echo(json.dumps({"ended": ended}) if as_json else f"removed; sessions ended: {ended}")
