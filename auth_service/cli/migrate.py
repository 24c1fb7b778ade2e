"""`auth-service migrate`: the schema, brought to head."""

from typing import Any

import click

from auth_service.cli.common import run_with_database
from auth_service.cli.grants import RoleName
from auth_service.database import migrator
from auth_service.repositories.grants import apply, check_roles


@click.command()
@click.option("--grant-to", type=RoleName(), metavar="ROLE", help="Grant this role what the service needs.")
@click.option("--grant-cleanup-to", type=RoleName(), metavar="ROLE", help="Grant this role what the clean-up needs.")
def migrate(grant_to: str | None, grant_cleanup_to: str | None) -> None:
    """Migrate the database schema to the version of this service. Concurrent runs are safe: one does the work.

    Schema and grants change in one transaction.
    """
    roles = grant_to, grant_cleanup_to

    def run(line: Any) -> list[str]:
        if any(roles):
            check_roles(line, *roles)
        applied = migrator.upgrade(line)
        if any(roles):
            apply(line, *roles)
        return applied

    applied = run_with_database(lambda database, _settings: database.run_sync(run, migrator.BUDGET))
    click.echo(f"applied: {', '.join(applied)}" if applied else "the schema is already at head")
    if any(roles):
        click.echo(f"granted to {' and '.join(filter(None, roles))}")
