"""`auth-service migrate`: the schema, brought to head or to another revision, or what that would do."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from auth_service.cli.common import run_with_database
from auth_service.cli.grants import RoleName
from auth_service.database import migration_plan, migrator
from auth_service.database.migration_plan import Plan, Step
from auth_service.database.schema import HEAD, REVISIONS, SchemaState, check
from auth_service.logs import escaped
from auth_service.repositories.database import Database
from auth_service.repositories.grants import apply, check_roles
from auth_service.services.operations import migration
from auth_service.settings import Settings

WORK_TO_DO = 3  # the exit code
NEWER = "the schema is newer than this version, and compatible: nothing to do"
WAITING = {"ACCESS EXCLUSIVE": "reads and writes wait"}  # with every other mode that is recorded, writes alone


@click.command()
@click.option("--to", "target", type=click.Choice(REVISIONS), metavar="REVISION", help="Go up or back to REVISION.")
@click.option("--yes", is_flag=True, help="With --to: do not ask for confirmation.")
@click.option("--check", "only_checks", is_flag=True, help="Print what would be done; exit code 3 if anything.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print it as JSON.")
@click.option("--grant-to", type=RoleName(), metavar="ROLE", help="Grant this role what the service needs.")
@click.option("--grant-cleanup-to", type=RoleName(), metavar="ROLE", help="Grant this role what the clean-up needs.")
def migrate(target: str | None, *, yes: bool, only_checks: bool, as_json: bool, **roles: str | None) -> None:
    """Migrate the database schema to the version of this service. Concurrent runs are safe: one does the work.

    Schema and grants change in one transaction; on PostgreSQL, indexes of a large table are built before it, beside
    running services. A newer schema that still serves this version stays as it is; with --to, a plan is printed and
    confirmed first. Which database it is, is said first, on standard error.
    """
    if as_json and not only_checks:
        raise click.UsageError("--json goes with --check.")
    if (target or only_checks) and any(roles.values()):
        raise click.UsageError("Grants are for the schema at head: neither --to nor --check goes with them.")
    if only_checks:
        _check(target or HEAD, as_json=as_json)
    elif target:
        _move(target, asks=not yes)
    else:
        _upgrade(*roles.values())


def _upgrade(*roles: str | None) -> None:
    def run(line: Any) -> tuple[list[str], bool]:
        applied = migrator.upgrade(line)
        is_newer = check(line) is SchemaState.NEWER
        if any(roles) and not is_newer:
            apply(line, *roles)
        return applied, is_newer

    applied, is_newer = _on_database(run, HEAD, lambda line: check_roles(line, *roles) if any(roles) else None)
    if is_newer:
        click.echo(NEWER + ("; the newer version grants" if any(roles) else ""))
        return
    click.echo(f"applied: {', '.join(applied)}" if applied else "the schema is already at head")
    if any(roles):
        click.echo(f"granted to {' and '.join(filter(None, roles))}")


def _check(target: str, *, as_json: bool) -> None:
    plan, database = _plan(target, tells=not as_json)
    told = {"database": database, **asdict(plan), "loses": plan.loses}
    click.echo(json.dumps(told, indent=2) if as_json else _text(plan))
    sys.exit(WORK_TO_DO if plan.steps else 0)


def _move(target: str, *, asks: bool) -> None:
    plan, _ = _plan(target)
    click.echo(_text(plan))
    if not plan.steps:
        return
    if asks and not sys.stdin.isatty():
        raise click.UsageError("No terminal to ask for a confirmation: look at the plan, and use --yes.")
    if asks:
        click.confirm("Do this?", abort=True, err=True)
    done = _on_database(lambda line: migrator.move(line, plan.revision, plan.target), plan.target, tells=False)
    click.echo(f"{'applied' if plan.steps[0].direction == 'up' else 'undone'}: {', '.join(done)}")


def _plan(target: str, *, tells: bool = True) -> tuple[Plan, str]:
    """Return what it takes to get to a revision, and which database it is of. No SQLite file is made for that."""

    async def run(database: Database, settings: Settings) -> tuple[Plan, str]:
        name = _named(settings, tells=tells)
        file = settings.database.sqlite_file
        if file and not file.exists():
            return migration_plan.make_first_plan(target), name
        return await database.run_sync(lambda line: migration_plan.make_plan(line, target), migrator.BUDGET), name

    return run_with_database(run, any_schema=True)


def _on_database(
    work: Callable[[Any], Any], target: str, check_first: Callable[[Any], Any] | None = None, *, tells: bool = True
) -> Any:
    async def run(database: Database, settings: Settings) -> Any:
        _named(settings, tells=tells)
        if check_first:
            await database.run_sync(check_first, migrator.BUDGET)
        return await migration.migrate(database, work, target, _tell_filled)

    return run_with_database(run, any_schema=True)


def _tell_filled(accounts: int) -> None:
    click.echo(f"usernames recorded: {accounts:,}", err=True)


def _named(settings: Settings, *, tells: bool) -> str:
    """Return which database it is, and say it before anything is done there, beside what is printed as the result."""
    name: str = escaped(settings.database.described)
    if tells:
        click.echo(name, err=True)
    return name


def _text(plan: Plan) -> str:
    if not plan.steps:
        return f"the schema is already at {plan.target}" if plan.target in REVISIONS else NEWER
    return "\n".join(
        [
            f"the schema is at {plan.revision}" if plan.revision else "the database has no schema yet",
            *(line for step in plan.steps for line in _lines(step)),
            f"then the schema serves services of {_served(plan)}; others are not ready",
        ]
    )


def _lines(step: Step) -> list[str]:
    locks = (f"locks {table} in {mode} mode: {WAITING.get(mode, 'writes wait')}" for table, mode in step.locks.items())
    lost = (f"LOST: {one.what}, rows: {one.rows}" if one.rows else f"removed, empty: {one.what}" for one in step.lost)
    return [f"{step.direction} {step.revision}: {step.title}", *(f"  {line}" for line in (*locks, *lost))]


def _served(plan: Plan) -> str:
    return plan.target if plan.oldest_served == plan.target else f"{plan.oldest_served} to {plan.target}"
