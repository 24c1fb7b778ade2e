"""The `auth-service` command: one thin function for each word. Exit code 0: done, 1: failed, 2: wrong use."""

import json
import signal
import sys
from datetime import timedelta

import click
import uvicorn

from auth_service import __version__, logs
from auth_service.cli.audit import audit
from auth_service.cli.common import WrongSetting, run_with_database, settings_or_exit
from auth_service.cli.doctor import doctor
from auth_service.cli.keys import keys
from auth_service.cli.users import users
from auth_service.mail.letters import Letters, WrongTemplateError
from auth_service.repositories import migrator
from auth_service.repositories.database import Database
from auth_service.services.cleanup import Cleanup, CleanupReport
from auth_service.settings import Settings

GRACEFUL_SECONDS = 8  # after the drain, and before the parts are stopped: docs/operating.md has the sum
KEEP_ALIVE_SECONDS = 15


def _duration(_context: click.Context, _option: click.Parameter, seconds: float | None) -> timedelta | None:
    """Take a number of seconds that the range of an option let through; NaN and infinity are among them."""
    try:
        return None if seconds is None else timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        raise click.BadParameter("not a usable number of seconds.") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """An auth microservice: accounts, sessions and signing keys."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Number of processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Serve the API."""
    settings = settings_or_exit(with_key=True)
    try:
        if settings.mail.templates:
            Letters(settings.mail.templates, settings.mail_name).check()
    except WrongTemplateError as error:
        raise WrongSetting(f"AUTH_MAIL__TEMPLATES: {error}") from None
    logs.configure(settings.log)
    # uvicorn raises the signal again once it has shut down; being asked to end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        uvicorn.run(
            "auth_service.main:create_app",
            factory=True,
            http="auth_service.api.protocol:Protocol",
            host=host,
            port=port,
            workers=workers,
            log_config=None,
            ws="none",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who is believed is AUTH_PROXY__TRUSTED
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
    except SystemExit as end:  # uvicorn has codes of its own, such as 3 for a port that is taken
        sys.exit(1 if end.code else 0)


main.add_command(audit)
main.add_command(doctor)
main.add_command(keys)
main.add_command(users)


@main.command()
def migrate() -> None:
    """Bring the database schema to the version of this service. Any number may run at once; one does the work."""
    applied = run_with_database(lambda database, _settings: database.run_sync(migrator.upgrade, migrator.BUDGET))
    click.echo(f"applied: {', '.join(applied)}" if applied else "the schema is at head already")


@main.command()
@click.option("--batch-size", type=click.IntRange(1, 5000), help="Rows to a transaction.  [default: from the settings]")
@click.option(
    "--time-budget", type=click.FloatRange(min=0, min_open=True), callback=_duration, metavar="S",
    help="Stop after S seconds.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def cleanup(batch_size: int | None, time_budget: timedelta | None, dry_run: bool, as_json: bool) -> None:
    """Delete expired sessions. Runs at the same time are harmless: one works, the others stop."""
    size = batch_size or settings_or_exit().cleanup.batch_size

    async def run(database: Database, settings: Settings) -> CleanupReport:
        job = Cleanup(database, settings.audit.retention)
        if dry_run:
            return await job.survey()
        hidden = as_json or not sys.stderr.isatty()
        expected = 0 if hidden else (await job.survey()).left
        with click.progressbar(length=expected, label="deleting", file=sys.stderr, hidden=hidden) as bar:
            return await job.run(size, time_budget, bar.update)

    report = run_with_database(run)
    click.echo(json.dumps(vars(report)) if as_json else _sentence(report))


@main.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from auth_service.main import create_app  # noqa: PLC0415  # the web's parts are not needed by any other word

    settings = settings_or_exit()
    quiet = settings.model_copy(update={"log": settings.log.model_copy(update={"level": "warning"})})
    click.echo(json.dumps(create_app(quiet).openapi(), indent=2))


def _sentence(report: CleanupReport) -> str:
    if report.skipped:
        return f"another clean-up is at work; deleted {report.deleted} before it"
    age = report.oldest_expired_seconds
    oldest = f", the oldest for {timedelta(seconds=round(age))}" if age is not None else ""
    attempts = f" and {report.throttles_deleted} counts of attempts" if report.throttles_deleted else ""
    return (
        f"deleted {report.deleted} expired sessions{attempts} in {report.batches} batches and {report.seconds} s; "
        f"{report.left} left{oldest}"
    )
