"""What every command that works on the database does: open it, and tell in one line what went wrong."""

import asyncio
import os
import pwd
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from auth_service import logs
from auth_service.cli.wrong_setting import WrongSetting, settings_or_exit
from auth_service.database.errors import TransactionConflict
from auth_service.database.schema import MIGRATE, NONE
from auth_service.errors import DatabaseUnavailable, InvalidFields, MissingPrivileges, Refused, WrongDatabaseSetting
from auth_service.models import REQUESTER, Requester
from auth_service.repositories.database import Database
from auth_service.settings import DatabaseSettings, Settings

SET_OR_MIGRATE = "set it, or run 'auth-service migrate' for a database in this file."

Result = TypeVar("Result")

whose = click.argument("account", metavar="EMAIL|USERNAME|ID")


class LostConflict(click.ClickException):
    """Others had a lock, or were faster: nothing was done, and the same command may succeed."""

    exit_code = os.EX_TEMPFAIL


class NotNow(click.ClickException):
    """The database cannot be reached, or is busy with itself: the same command may succeed later."""

    exit_code = os.EX_TEMPFAIL


def run_with_database(
    work: Callable[[Database, Settings], Coroutine[Any, Any, Result]],
    *,
    with_key: bool = False,
    tell: bool = False,
    any_schema: bool = False,
    may_make_file: bool | None = None,
    doctor: str = "doctor",
) -> Result:
    """Run a job on the database of the settings; what is refused, or no file can do, becomes one line and exit code 1.

    It is 75 if the database may answer later, or another transaction stood in the way, and 2 for a wrong setting.

    A job that changes accounts or keys tells its security events, at the level of the settings; others only warn. None
    works on a schema that this code does not, unless the schema is what it is about. Those make SQLite's file where it
    is missing, unless `may_make_file` says otherwise. Where the role lacks privileges, `doctor` names those that this
    job needs.
    """
    makes_file = any_schema if may_make_file is None else may_make_file
    settings = settings_or_exit(with_key=with_key) if makes_file else _settings_of_schema(with_key=with_key)
    quiet = settings.log.model_copy(update={"level": "warning"})
    logs.configure(settings.log if tell else quiet, sys.stderr)  # the answer is on stdout

    async def work_and_close() -> Result:
        REQUESTER.set(Requester(actor=f"cli:{_operator()}"))
        database = Database(settings.database)
        try:
            if not any_schema:
                await database.check_schema()
            return await work(database, settings)
        finally:
            await database.dispose()

    try:
        return asyncio.run(work_and_close())
    except BrokenPipeError:  # the reader has closed the output
        raise
    except OSError as error:
        raise click.ClickException(str(error)) from None
    except InvalidFields as error:
        raise click.ClickException(" ".join(f"{fault.field}: {fault.detail}" for fault in error.faults)) from None
    except Refused as error:
        causes = logs.causes_of(error)  # "does not answer" may be a wrong password or a missing GRANT
        cause = "".join(f" ({cause})" for cause in causes[-1:])
        if isinstance(error, TransactionConflict):
            raise LostConflict(f"Another transaction stands in the way: try again.{cause}") from None
        hint = f" 'auth-service {doctor}' names them." if isinstance(error, MissingPrivileges) else ""
        raise _kind_of(error)(error.detail + hint + cause) from None


def _settings_of_schema(*, with_key: bool) -> Settings:
    """Look at the file before a key is made beside it."""
    settings = settings_or_exit()
    _look_at_file(settings.database)
    return settings_or_exit(with_key=True) if with_key else settings


def _look_at_file(database: DatabaseSettings) -> None:
    """Say of the default file which one it is. A file that is not there is not made: it would have no schema.

    Raises:
        click.ClickException: it is not there.
    """
    file, told = database.sqlite_file, logs.escaped(database.described)
    is_missing = file is not None and file.parent.is_dir() and not os.path.lexists(file)
    if database.is_default and is_missing:
        raise click.ClickException(f"DATABASE_URL is not set, and its default is not there ({told}): {SET_OR_MIGRATE}")
    if is_missing:
        raise click.ClickException(f"{NONE}: {MIGRATE['sqlite']} ({told} is not there)")
    if database.is_default:
        click.echo(f"DATABASE_URL is not set: {told}", err=True)


def _kind_of(error: Refused) -> type[click.ClickException]:
    if isinstance(error, WrongDatabaseSetting):
        return WrongSetting
    return NotNow if isinstance(error, DatabaseUnavailable) and error.is_transient else click.ClickException


def confirm(question: str) -> None:
    """Ask before what cannot be taken back; the answer may come from a terminal or a pipe.

    Raises:
        click.Abort: it is no.
        click.UsageError: there is nobody to ask.
    """
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise click.UsageError("This asks for a confirmation, and nobody is there to answer: use --yes.") from None
    if not agreed:
        raise click.Abort


def _operator() -> str:
    """The name of the operating system's user, whatever the environment says; a container may have only its number."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
