"""`auth-service grants`: what the roles of PostgreSQL may do, printed or applied."""

from typing import Any

import click

from auth_service.cli.common import run_with_database
from auth_service.database.migrator import BUDGET
from auth_service.repositories.grants import QUOTABLE, apply, make_script
from auth_service.repositories.privileges import CLEANUP, SERVICE


class RoleName(click.ParamType[str]):
    """The name of a role that can be quoted wherever it has to stand."""

    name = "role"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not QUOTABLE.fullmatch(value):
            self.fail(
                "a role's name with quotes, '$', ';', '\\' or control characters cannot be used here.", param, ctx
            )
        return str(value)


@click.command()
@click.option("--role", type=RoleName(), metavar="NAME", help="The role that serves.")
@click.option("--cleanup-role", type=RoleName(), metavar="NAME", help="The role that only cleans up.")
@click.option("--apply", "applies", is_flag=True, help="Run it on DATABASE_URL, as the owner of the tables.")
def grants(role: str | None, cleanup_role: str | None, applies: bool) -> None:
    """Print the SQL that grants each role what it needs. Without a name: to auth_app and auth_cleanup.

    Run it after every migration, or use `migrate --grant-to`. It may run again at any time.
    """
    if not (role or cleanup_role):
        role, cleanup_role = SERVICE, CLEANUP
    if not applies:
        click.echo(make_script(role, cleanup_role), nl=False)
        return
    run_with_database(
        lambda database, _settings: database.run_sync(lambda line: apply(line, role, cleanup_role), BUDGET),
        any_schema=True,
    )
    click.echo(f"granted to {' and '.join(filter(None, [role, cleanup_role]))}")
