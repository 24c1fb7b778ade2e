"""`auth-service config`: the settings, checked before anything runs with them."""

import json
import sys
from collections.abc import Iterator

import click

from auth_service.cli.for_option import SERVE, for_option, with_secret_to_serve
from auth_service.cli.wrong_setting import WrongSetting, check_templates
from auth_service.embedded_secret import check_folder
from auth_service.logs import escaped
from auth_service.settings import DatabaseSettings, SettingProblem, Settings, WrongSettingError, examine_settings

IN_MEMORY = (
    "is a database in memory, which no other command sees and which is gone when the process ends: name a file, as in "
    "sqlite+aiosqlite:////var/lib/auth/auth.db, or a PostgreSQL server"
)


@click.group()
def config() -> None:
    """Check the settings."""


@config.command()
@for_option
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(word: str, as_json: bool) -> None:
    """Name every wrong or unknown setting and unreadable file. Asks no server. Exit code 2 if there is one."""
    found = examine_settings()
    problems = [*found.wrong, *found.ignored]
    if found.settings:
        of_settings = [*(_to_serve(found.settings) if word == SERVE else ()), *_of_database(found.settings)]
        problems += [problem for problem in of_settings if problem.name not in {wrong.name for wrong in found.wrong}]
    problems.sort(key=lambda problem: problem.name)
    note = _note_of(found.settings.database) if found.settings and not problems else None
    if as_json:
        told = {"ok": not problems, "problems": [problem._asdict() for problem in problems], "note": note}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo("\n".join(map(str, problems)) or "all settings can be used" + (f"\nnote: {note}" if note else ""))
    sys.exit(2 if problems else 0)


def _note_of(database: DatabaseSettings) -> str | None:
    """What is right by itself, and in most places a line that was forgotten."""
    return f"DATABASE_URL is not set: {escaped(database.described)}" if database.is_default else None


def _to_serve(settings: Settings) -> Iterator[SettingProblem]:
    try:
        check_templates(settings)
    except WrongSetting as error:
        yield SettingProblem(*error.message.split(": ", 1))
    try:
        if settings.database.is_postgresql:  # with SQLite a key would be made
            with_secret_to_serve(settings)
    except WrongSettingError as error:
        yield SettingProblem(*str(error).split(": ", 1))


def _of_database(settings: Settings) -> Iterator[SettingProblem]:
    try:
        check_folder(settings.database)
    except WrongSettingError as error:
        yield SettingProblem(*str(error).split(": ", 1))
    if settings.database.is_in_memory:
        yield SettingProblem("DATABASE_URL", IN_MEMORY)
