"""`auth-service users import`: accounts from a file."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple, TextIO

import click

from auth_service.cli.common import run_with_database
from auth_service.cli.numbers import WholeNumber
from auth_service.cli.users.exports import format_option, layout_of
from auth_service.repositories.database import Database
from auth_service.security.passwords.hashing import Passwords
from auth_service.services.mail.asked_policy import ask_address_policy
from auth_service.services.transfer.dry_run import DryRun, SignInTrial
from auth_service.services.transfer.fields import RefusedLine, UnreadableFile
from auth_service.services.transfer.files import Format
from auth_service.services.transfer.importing import Importer
from auth_service.services.transfer.lines import read_lines
from auth_service.services.transfer.outcome import ImportReport
from auth_service.services.transfer.rows import RowMaker
from auth_service.settings import Settings

SHOWN = 20  # refused lines on the terminal; --rejects has all of them
LARGEST_BATCH = 10_000


class _Tried(NamedTuple):
    right: bool
    reason: str


class Refusals:
    """Reports refused lines by number and reason, never by content."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._shown = 0

    def __call__(self, line: int, refused: RefusedLine) -> None:
        if self._file:
            errors = [fault._asdict() for fault in refused.faults]
            told = [{name: value for name, value in error.items() if name != "limit" or value} for error in errors]
            self._file.write(json.dumps({"line": line, "errors": told}) + "\n")
        elif self._shown < SHOWN:
            self._shown += 1
            for fault in refused.faults:
                field = f"{fault.field}: " if fault.field else ""
                click.echo(f"line {line}: {field}{fault.detail}", err=True)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@format_option
@click.option(
    "--batch-size", default=5000, show_default=True, type=WholeNumber(1, LARGEST_BATCH),
    help="Lines per transaction.",
)  # fmt: skip
@click.option("--resume-from", default=1, metavar="LINE", type=WholeNumber(1), help="Skip all lines before it.")
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write refused lines to this new file, as JSON lines.",
)
@click.option(
    "--unknown-hash",
    "unknown_hash",
    default="refuse",
    show_default=True,
    type=click.Choice(["refuse", "reset"]),
    help="What to do with a hash that cannot be used: refuse the line, or import it without a password.",
)
@click.option(
    "--bad-username",
    "bad_username",
    default="refuse",
    show_default=True,
    type=click.Choice(["refuse", "drop"]),
    help="What to do with a username that is not allowed: refuse the line, or import it without.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing, and tell what an import would do.")
@click.option(
    "--sign-in",
    "name",
    metavar="EMAIL|USERNAME",
    help="With --dry-run: try a password, read from standard input, on the line of this account.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_users(
    *, file: str, layout: Format | None, batch_size: int, resume_from: int, rejects: Path | None,
    unknown_hash: str, bad_username: str, name: str | None, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Import the accounts in FILE (- for standard input). Existing accounts stay unchanged.

    The same command again changes nothing, and finishes what was interrupted. Exit code 1 if any line was refused, or
    if the password of --sign-in is not right.
    """
    chosen = layout or layout_of(file)
    password = _password_to_try(file, dry_run=dry_run) if name else ""
    size = 0 if file == "-" else Path(file).stat().st_size  # 0 for a pipe, too
    hidden = as_json or not size or not sys.stderr.isatty()

    async def import_file(database: Database, settings: Settings) -> tuple[ImportReport, SignInTrial | None]:
        passwords = Passwords(settings.password)
        trial = SignInTrial(passwords, name, password) if name else None
        maker = RowMaker(
            passwords.adopt, datetime.now(UTC), await ask_address_policy(settings),
            resets_unknown_hashes=unknown_hash == "reset", drops_bad_usernames=bad_username == "drop",
        )  # fmt: skip
        job = Importer(database, maker, batch_size, DryRun(trial) if dry_run else None)
        # Made before the first line is read, and empty if none is refused.
        with (
            _new_file(rejects) if rejects else nullcontext() as refused,
            click.open_file(file, "rb") as stream,
            _told_if_interrupted(job.report, wrote=not dry_run),
        ):
            lines = read_lines(stream, chosen, resume_from)
            with _bar(stream, size, hidden=hidden) as advance:
                await job.import_lines(lines, Refusals(refused), advance)
        return job.report, trial

    report, trial = run_with_database(import_file, tell=hidden)
    tried = _Tried(*trial.verdict()) if trial else None
    click.echo(_as_json(report, tried) if as_json else _sentences(report, tried, dry_run=dry_run))
    sys.exit(1 if report.refused or (tried and not tried.right) else 0)


@contextmanager
def _bar(file: IO[bytes], size: int, *, hidden: bool) -> Iterator[Callable[[], None]]:
    """A progress bar over the bytes of a file; yields the callback for each processed part."""
    with click.progressbar(length=size, label="importing", file=sys.stderr, hidden=hidden) as bar:
        yield lambda: bar.update(0 if hidden else file.tell() - bar.pos)


@contextmanager
def _told_if_interrupted(report: ImportReport, *, wrote: bool) -> Iterator[None]:
    """Report how far an interrupted import came."""
    finished = False
    try:
        yield
        finished = True
    except UnreadableFile as unreadable:
        raise click.ClickException(str(unreadable)) from None
    finally:
        if not finished and wrote and report.through_line:
            click.echo(f"lines up to {report.through_line} are done; run the same command again to finish", err=True)


def _password_to_try(file: str, *, dry_run: bool) -> str:
    if not dry_run:
        raise click.UsageError("--sign-in needs --dry-run.")
    if file == "-":
        raise click.UsageError("--sign-in reads a password from standard input, so FILE must be a file.")
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, err=True)
        return password
    return sys.stdin.readline().rstrip("\r\n")


def _new_file(path: Path) -> TextIO:
    """Open what is not there yet, or is no file but a pipe or a device, to be written."""
    if path.is_file():
        raise click.UsageError(f"{path} exists already: --rejects overwrites nothing.")
    return path.open("w" if path.exists() else "x", encoding="utf-8")


def _as_json(report: ImportReport, tried: _Tried | None) -> str:
    return json.dumps(vars(report) | ({"sign_in": tried._asdict()} if tried else {}))


def _sentences(report: ImportReport, tried: _Tried | None, *, dry_run: bool) -> str:
    counted = {"without a password": report.hashes_reset, "without a username": report.usernames_dropped}
    without = ", ".join(f"{count} {what}" for what, count in counted.items() if count)
    told = f"imported {report.imported} accounts{f' ({without})' if without else ''}; "
    told += f"{report.already_there} already existed; refused {report.refused} lines; {report.seconds} s"
    trial = f"\nsign-in: {tried.reason}" if tried else ""
    return ("dry run, nothing was written; would have " if dry_run else "") + told + trial
