"""`auth-service cleanup`: what has expired, deleted by cron or by hand."""

import json
import sys
from datetime import timedelta

import click

from auth_service.cli.common import run_with_database
from auth_service.cli.for_option import CLEANUP
from auth_service.cli.numbers import Number, WholeNumber
from auth_service.cli.sigterm import ended_by_sigterm
from auth_service.repositories.database import Database
from auth_service.services.operations.batches import LEASE
from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.cleanup_report import CleanupReport, CleanupSurvey
from auth_service.services.operations.pace import Speed
from auth_service.settings import Settings


def _duration(_context: click.Context, _option: click.Parameter, seconds: float | None) -> timedelta | None:
    """Take a number of seconds that the range of an option let through; it may be longer than any duration."""
    try:
        return None if seconds is None else timedelta(seconds=seconds)
    except OverflowError:
        raise click.BadParameter("not a usable number of seconds.") from None


@click.command()
@click.option("--batch-size", type=WholeNumber(1, 5000), help="Rows per transaction.  [default: from the settings]")
@click.option(
    "--rate", type=WholeNumber(0, 1_000_000), metavar="ROWS",
    help="Delete at most so many rows a second; 0 is full speed, without a pause.  [default: from the settings]",
)  # fmt: skip
@click.option(
    "--time-budget", type=Number(min=0, min_open=True), callback=_duration, metavar="S",
    help="Begin no batch of sessions after S seconds.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Count without deleting.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def cleanup(
    batch_size: int | None, rate: int | None, time_budget: timedelta | None, dry_run: bool, as_json: bool
) -> None:
    """Delete what has expired, slowly enough that nobody feels it. Of runs at the same time, one does the work."""

    async def clean_up(database: Database, settings: Settings) -> tuple[CleanupReport | CleanupSurvey, float]:
        kept = settings.audit.retention / timedelta(days=1)
        job = Cleanup(database, settings.audit.retention, settings.registration.unverified_lifetime)
        if dry_run:
            return await job.survey(), kept
        hidden = as_json or not sys.stderr.isatty()
        expected = 0 if hidden else await job.count_sessions()
        size = batch_size or settings.cleanup.batch_size
        with click.progressbar(length=expected, label="deleting", file=sys.stderr, hidden=hidden) as bar:
            speed = Speed.of(settings.cleanup, rate)
            try:
                return await job.delete_expired(size, time_budget, bar.update, speed), kept
            except BaseException:
                if job.cut_off and job.cut_off.has_deleted:
                    _tell(job.cut_off, kept, as_json=as_json)
                raise

    report, kept = run_with_database(ended_by_sigterm(clean_up), doctor=f"doctor --for {CLEANUP}")
    _tell(report, kept, as_json=as_json)


def _tell(report: CleanupReport | CleanupSurvey, kept: float, *, as_json: bool) -> None:
    told = {**_fields(report), "audit_retention_days": kept}  # a job that lacks the setting has the default
    click.echo(json.dumps(told) if as_json else f"{_sentence(report)}; the audit trail is kept for {kept:g} days")


def _fields(report: CleanupReport | CleanupSurvey) -> dict[str, object]:
    """What is printed as JSON: that of a dry run has all of a run's, none of which it did, and what else is left."""
    if isinstance(report, CleanupReport):
        return report._asdict()
    found = report._asdict()
    did_nothing = CleanupReport(0, 0, 0.0, found.pop("sessions"), found.pop("oldest_expired_seconds"), skipped=False)
    return {**did_nothing._asdict(), **{f"{name}_left": count for name, count in found.items()}}


def _would(found: CleanupSurvey) -> str:
    accounts = "an unknown number of" if found.registrations is None else found.registrations
    return (
        f"would delete {found.sessions} expired sessions{_oldest(found.oldest_expired_seconds)}, "
        f"{found.throttles} counts of attempts, {found.links} links, {accounts} unused accounts, "
        f"{found.challenges} used challenges and {found.factors} unconfirmed factors"
    )


def _oldest(age: float | None) -> str:
    return f", the oldest for {timedelta(seconds=round(age))}" if age is not None else ""


def _sentence(report: CleanupReport | CleanupSurvey) -> str:
    if isinstance(report, CleanupSurvey):
        return _would(report)
    if report.skipped:
        # Nothing tells a run that rests from one that was killed: both have a lease.
        return (
            f"another clean-up is running, or was killed less than {LEASE.seconds} seconds ago; "
            f"deleted {report.deleted} before giving way to it"
        )
    attempts = f" and {report.throttles_deleted} counts of attempts" if report.throttles_deleted else ""
    unused = f" and {report.registrations_deleted} unused accounts" if report.registrations_deleted else ""
    end = f"{report.left} left{_oldest(report.oldest_expired_seconds)}" if report.left is not None else "cut off"
    return (
        f"deleted {report.deleted} expired sessions{attempts}{unused} "
        f"in {report.batches} batches and {report.seconds} s; {end}"
    )
