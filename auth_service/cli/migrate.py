"""`auth-service migrate`: the schema, brought to head."""

import click

from auth_service.cli.common import run_with_database
from auth_service.database import migrator


@click.command()
def migrate() -> None:
    """Migrate the database schema to the version of this service. Concurrent runs are safe: one does the work."""
    applied = run_with_database(lambda database, _settings: database.run_sync(migrator.upgrade, migrator.BUDGET))
    click.echo(f"applied: {', '.join(applied)}" if applied else "the schema is already at head")
