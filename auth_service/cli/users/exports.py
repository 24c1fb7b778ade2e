"""`auth-service users export`: accounts to a file, and what it shares with the import from one."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

import click

from auth_service.cli.common import run_with_database
from auth_service.repositories.database import Database
from auth_service.services.transfer.exporting import Exporter, exported_fields
from auth_service.services.transfer.files import Format
from auth_service.services.transfer.lines import account_line, header_line
from auth_service.settings import Settings

format_option = click.option("--format", "layout", type=click.Choice(["jsonl", "csv"]), help="JSON lines or CSV.")


@click.command("export")
@format_option
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write, readable only by you.")
@click.option("--with-ids", is_flag=True, help="Include ids, which an import takes, too.")
@click.option("--with-hashes", is_flag=True, help="Include password hashes.")
def export_users(layout: Format | None, output: Path | None, *, with_ids: bool, with_hashes: bool) -> None:
    """Export all accounts to standard output or a file, in the format of `users import`."""
    chosen = layout or layout_of(str(output) if output else "-", "jsonl")

    async def export_file(database: Database, _settings: Settings) -> int:
        count, names = 0, exported_fields(with_ids=with_ids, with_hashes=with_hashes)
        with _private(output) if output else nullcontext(sys.stdout) as file:
            file.write(header_line(chosen, names))
            async for account in Exporter(database).export_accounts(names):
                file.write(account_line(chosen, account))
                count += 1
        return count

    count = run_with_database(export_file, tell=True)
    click.echo(f"exported {count} accounts", err=True)


def layout_of(name: str, default: Format | None = None) -> Format:
    """Return the format that a file's name tells, or the default; raises `click.UsageError` if there is none."""
    found: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv"}
    layout = found.get(Path(name).suffix.lower(), default)
    if layout is None:
        raise click.UsageError("Give --format: it cannot be told from the file name.")
    return layout


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
