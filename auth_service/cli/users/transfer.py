"""`auth-service users import` and `export`: accounts from and to files."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TextIO

import click

from auth_service.cli.common import run_with_database
from auth_service.repositories.transaction import Database
from auth_service.security.passwords import Passwords
from auth_service.services.transfer.exporting import Exporter, exported_fields
from auth_service.services.transfer.importing import Importer, ImportReport
from auth_service.services.transfer.lines import Format, RefusedLine, account_line, header_line, read_lines
from auth_service.services.transfer.rows import RowMaker
from auth_service.settings import Settings

SHOWN = 20  # refused lines on the terminal; --rejects has all of them
LARGEST_BATCH = 10_000

format_option = click.option("--format", "layout", type=click.Choice(["jsonl", "csv"]), help="JSON lines or CSV.")


class Refusals:
    """Reports refused lines by number and reason, never by content."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._shown = 0

    def __call__(self, line: int, refused: RefusedLine) -> None:
        if self._file:
            told = {"line": line, "field": refused.field, "reason": refused.reason}
            self._file.write(json.dumps(told) + "\n")
        elif self._shown < SHOWN:
            self._shown += 1
            field = f"{refused.field}: " if refused.field else ""
            click.echo(f"line {line}: {field}{refused.reason}", err=True)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@format_option
@click.option(
    "--batch-size", default=5000, show_default=True, type=click.IntRange(1, LARGEST_BATCH),
    help="Lines per transaction.",
)  # fmt: skip
@click.option("--resume-from", default=1, metavar="LINE", type=click.IntRange(1), help="Skip all lines before it.")
@click.option(
    "--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Write refused lines here, as JSON lines."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_users(
    file: str, layout: Format | None, batch_size: int, resume_from: int, rejects: Path | None, *, as_json: bool
) -> None:
    """Import the accounts in FILE (- for standard input). Existing accounts stay unchanged.

    The same command again changes nothing, and finishes what was interrupted. Exit code 1 if any line was refused.
    """
    chosen = layout or _layout_of(file)
    if rejects and rejects.exists() and file != "-" and rejects.samefile(file):
        raise click.UsageError("--rejects names the file to be imported.")
    size = 0 if file == "-" else Path(file).stat().st_size  # 0 for a pipe, too
    hidden = as_json or not size or not sys.stderr.isatty()

    async def import_file(database: Database, settings: Settings) -> ImportReport:
        maker = RowMaker(Passwords(settings.password).adopt, datetime.now(UTC))
        job = Importer(database, maker, batch_size)
        # Made before the first line is read, and empty if none is refused.
        with (
            click.open_file(rejects, "w", encoding="utf-8") if rejects else nullcontext() as refused,
            click.open_file(file, "rb") as stream,
            _told_if_interrupted(job.report),
        ):
            lines = read_lines(stream, chosen, resume_from)
            with _bar(stream, size, hidden=hidden) as advance:
                await job.import_lines(lines, Refusals(refused), advance)
        return job.report

    report = run_with_database(import_file, tell=hidden)
    click.echo(json.dumps(vars(report)) if as_json else _sentence(report))
    sys.exit(1 if report.refused else 0)


@click.command("export")
@format_option
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write, readable only by you.")
@click.option("--with-hashes", is_flag=True, help="Include password hashes.")
def export_users(layout: Format | None, output: Path | None, *, with_hashes: bool) -> None:
    """Export all accounts to standard output or a file, in the format of `users import`."""
    chosen = layout or _layout_of(str(output) if output else "-", "jsonl")

    async def export_file(database: Database, _settings: Settings) -> int:
        count, names = 0, exported_fields(with_hashes=with_hashes)
        with _private(output) if output else nullcontext(sys.stdout) as file:
            file.write(header_line(chosen, names))
            async for account in Exporter(database).export_accounts(with_hashes=with_hashes):
                file.write(account_line(chosen, account))
                count += 1
        return count

    count = run_with_database(export_file, tell=True)
    click.echo(f"exported {count} accounts", err=True)


@contextmanager
def _bar(file: IO[bytes], size: int, *, hidden: bool) -> Iterator[Callable[[], None]]:
    """A progress bar over the bytes of a file; yields the callback for each processed part."""
    with click.progressbar(length=size, label="importing", file=sys.stderr, hidden=hidden) as bar:
        yield lambda: bar.update(0 if hidden else file.tell() - bar.pos)


@contextmanager
def _told_if_interrupted(report: ImportReport) -> Iterator[None]:
    """Report how far an interrupted import came."""
    finished = False
    try:
        yield
        finished = True
    except RefusedLine as refused:
        raise click.ClickException(refused.reason) from None
    finally:
        if not finished and report.through_line:
            click.echo(f"lines up to {report.through_line} are done; run the same command again to finish", err=True)


@contextmanager
def _private(path: Path) -> Iterator[TextIO]:
    """A file with mode 0600 that takes the place of `path` when it is complete."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _layout_of(name: str, default: Format | None = None) -> Format:
    found: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}
    layout = found.get(Path(name).suffix.lower(), default)
    if layout is None:
        raise click.UsageError("Give --format: it cannot be told from the file name.")
    return layout


def _sentence(report: ImportReport) -> str:
    return (
        f"imported {report.imported} accounts; {report.already_there} already existed; "
        f"refused {report.refused} lines; {report.seconds} s"
    )
