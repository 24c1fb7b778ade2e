"""`auth-service users hashes`: how passwords are hashed, and until when."""

import json
from collections.abc import Sequence

import click

from auth_service.cli.common import run_with_database
from auth_service.repositories.database import Database
from auth_service.security.passwords.hashing import Passwords
from auth_service.services.passwords.stored_hashes import Forecast, HashKind, StoredHashes
from auth_service.settings import Settings

ASSUMPTION = (
    "This assumes that the same share of the remaining owners signs in each day as in this period. Accounts that "
    "never sign in keep an outdated hash: reset or delete them."
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def hashes(*, as_json: bool) -> None:
    """Count accounts by the scheme and parameters of their hash, and say when the last outdated one will be gone."""

    async def report(database: Database, settings: Settings) -> tuple[Sequence[HashKind], Forecast]:
        return await StoredHashes(database, Passwords(settings.password)).report()

    kinds, forecast = run_with_database(report)
    if as_json:
        told = {name: str(value) if name.endswith("_at") and value else value for name, value in vars(forecast).items()}
        click.echo(json.dumps({"kinds": [vars(kind) for kind in kinds], "forecast": told | {"assumes": ASSUMPTION}}))
        return
    for kind in kinds:
        click.echo(f"{kind.accounts:>10}  {kind.state:<10}  {kind.recipe}  ({kind.signed_in} have signed in)")
    click.echo(_sentence(forecast))


def _sentence(forecast: Forecast) -> str:
    counts = f"{forecast.outdated} outdated hashes remain; {forecast.renewed} were renewed in {forecast.days} days."
    if forecast.half_at is None or forecast.last_at is None:
        return f"{counts} {forecast.verdict.capitalize()}."
    dates = f"half of them gone on {forecast.half_at.date()}, the last on {forecast.last_at.date()}"
    return f"{counts} {forecast.verdict.capitalize()}: {dates}. {ASSUMPTION}"
