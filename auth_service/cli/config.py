"""`auth-service config`: the settings, checked before anything runs with them."""

import json
import sys

import click

from auth_service.cli.wrong_setting import WrongSetting, check_templates
from auth_service.embedded_secret import check_folder, with_secret
from auth_service.settings import SettingProblem, WrongSettingError, examine_settings

IN_MEMORY = (
    "is a database in memory, which no other command sees and which is gone when the process ends: name a file, as in "
    "sqlite+aiosqlite:////var/lib/auth/auth.db, or a PostgreSQL server"
)


@click.group()
def config() -> None:
    """Check the settings."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(as_json: bool) -> None:
    """Name every wrong or unknown setting and unreadable file. Asks no server. Exit code 2 if there is one."""
    found = examine_settings()
    problems = [*found.wrong, *found.ignored]
    if found.settings:
        try:
            check_templates(found.settings)
        except WrongSetting as error:
            problems.append(SettingProblem(*error.message.split(": ", 1)))
        try:
            if found.settings.database.is_postgresql:  # with SQLite a key would be made
                with_secret(found.settings)
            check_folder(found.settings.database)
        except WrongSettingError as error:
            told = SettingProblem(*str(error).split(": ", 1))
            problems += [] if told.name in {problem.name for problem in found.wrong} else [told]
        if found.settings.database.is_in_memory:
            problems.append(SettingProblem("DATABASE_URL", IN_MEMORY))
    problems.sort(key=lambda problem: problem.name)
    if as_json:
        click.echo(json.dumps({"ok": not problems, "problems": [problem._asdict() for problem in problems]}, indent=2))
    else:
        click.echo("\n".join(map(str, problems)) or "all settings can be used")
    sys.exit(2 if problems else 0)
