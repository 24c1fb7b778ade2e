"""`auth-service audit`: the trail of security events, read."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from auth_service.cli.common import run_with_database
from auth_service.cli.numbers import WholeNumber
from auth_service.logs import escaped
from auth_service.models import AuditEvent, SecurityEvent
from auth_service.repositories.audit.trail import AuditFilter
from auth_service.repositories.database import Database
from auth_service.services.operations.audit import Audit
from auth_service.settings import Settings

WORDS = [event.value for event in SecurityEvent]


class Time(click.ParamType[datetime]):
    """A day or a time in ISO 8601, in UTC unless it says otherwise."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail("must be a day or a time, such as 2026-01-31 or 2026-01-31T08:00Z.", param, ctx)


@click.command()
@click.option("--user", metavar="ID|EMAIL", help="Only this account (a deleted one by its id).")
@click.option("--event", "events", multiple=True, type=click.Choice(WORDS), help="Only this kind; repeatable.")
@click.option("--since", type=Time(), help="Only events at or after this time.")
@click.option("--until", type=Time(), help="Only events before this time.")
@click.option("--limit", default=100, show_default=True, type=WholeNumber(1, 10_000_000), help="Number of events.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
def audit(user: str | None, limit: int, *, as_json: bool, **wanted: Any) -> None:
    """Show security events, newest first."""
    show = _as_json if as_json else _as_text

    async def print_events(database: Database, _settings: Settings) -> None:
        trail = Audit(database)
        user_id = await trail.user_id_of(user) if user else None
        async for event in trail.read(AuditFilter(user_id, **wanted), limit):
            click.echo(show(event))

    run_with_database(print_events)


def _as_json(event: AuditEvent) -> str:
    return json.dumps(event.model_dump(mode="json"))


def _as_text(event: AuditEvent) -> str:
    told = " ".join(f"{name}={value}" for name, value in event.details.items())
    cells = (event.at.isoformat(timespec="milliseconds"), event.event, event.user_id, event.session_id, event.ip, told)
    line: str = escaped("  ".join(str(cell or "-") for cell in cells))
    return line
