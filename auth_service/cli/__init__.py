"""The `auth-service` command: one thin function per word. Exit code 0: done, 1: failed, 2: wrong use.

75 is for what may succeed if it is run again, 3 for `migrate --check` when there is work to do, 74 for an output that
cannot be written, and 130 for Ctrl-C.
"""

import errno
import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from auth_service import __version__
from auth_service.cli.garbage_collector import collector_at_rest

BACKGROUND = 10  # added to the niceness of a background job: processes that answer requests come first
WORDS = ("audit", "cleanup", "config", "doctor", "double", "grants", "keys", "migrate", "openapi", "serve", "users")
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


class Words(click.Group):
    """`places` says for each word in which module of `cli` it is, and under which name; it is imported when it is asked
    for: none needs the parts of all.
    """

    def __init__(self, *args: Any, places: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self._places = places

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """As in click; a background job lowers its priority before its imports, which take a second of CPU."""
        if args is None and sys.argv[1:2] == ["cleanup"]:
            os.nice(BACKGROUND)
        try:
            return super().main(args, *more, **options)
        except OSError as error:
            if error.errno in _UNWRITABLE and error.filename is None:  # it has the name of a file that is opened
                _lose_output(error)
            raise
        finally:
            try:
                if sys.stdout:  # there is none where it was closed
                    sys.stdout.flush()
            except OSError as error:
                _lose_output(error)

    def invoke(self, ctx: click.Context) -> Any:
        """As in click, which ends with 1 by Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Aborted!", err=True)
            ctx.exit(128 + signal.SIGINT)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._places:
            return None
        module, name = self._places[cmd_name]
        with collector_at_rest():
            command: click.Command = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return command


def _lose_output(error: OSError) -> NoReturn:
    """End with one line, as what was printed cannot be written; the interpreter does not try that once more then."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    try:
        click.echo(f"Error: The output cannot be written: {error.strerror}", err=True)
    except OSError:  # as both go into one file
        os.dup2(nowhere, sys.stderr.fileno())
    sys.exit(os.EX_IOERR)


@click.group(
    cls=Words, places={word: (word, word) for word in WORDS}, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__)
def main() -> None:
    """An auth microservice: accounts, sessions and signing keys."""
