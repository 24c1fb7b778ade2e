"""`auth-service keys`: show and change the signing keys by hand."""

import json
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, BinaryIO, TypeVar

import click

from auth_service.cli.common import run_with_database
from auth_service.logs import escaped
from auth_service.repositories.database import Database
from auth_service.security.keys import SecretKeys
from auth_service.services.factors.rewrapping import FactorRewrapping, Rewrapped
from auth_service.services.signing_keys.lifecycle import KeyLifecycle
from auth_service.settings import Settings

Result = TypeVar("Result")

COLUMNS = ("kid", "state", "algorithm", "created_at", "activated_at", "retired_at", "secret_id")


@click.group()
def keys() -> None:
    """Show and change the keys that sign access tokens. No command ends a session."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the keys as JSON.")
def list_keys(as_json: bool) -> None:
    """Show every key: pending (published), active (signs) or retired (still verifies).

    A key that this service did not make is named on the error output too.
    """
    found, forged = _with_lifecycle(lambda lifecycle: lifecycle.list_all())
    rows = [{column: _text(getattr(key, column)) for column in COLUMNS} for key in found]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            click.echo(escaped("  ".join(row[column] or "-" for column in COLUMNS)))
    for kid in forged:
        click.echo(escaped(f"{kid}: this service did not make it: 'auth-service keys revoke' removes it"), err=True)


@keys.command()
def rotate() -> None:
    """Publish a new key. It starts signing after six minutes, once every verifier can have it; the old one retires."""
    click.echo(f"published: {_with_lifecycle(lambda lifecycle: lifecycle.rotate())}")


@keys.command()
def advance() -> None:
    """Take the steps that are due, as every running process does twice a minute."""
    for step, kid in _with_lifecycle(lambda lifecycle: lifecycle.advance()):
        click.echo(escaped(f"{step}: {kid}") if kid else step)


# One key id in 64 begins with a hyphen; as an option `-h` would be found in it.
@keys.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("kid")
def revoke(kid: str) -> None:
    """Remove the key KID at once, in an emergency. The tokens it signed are refused within seconds."""
    _with_lifecycle(lambda lifecycle: lifecycle.revoke(kid))
    click.echo(escaped(f"revoked: {kid}"))


@keys.command("import")
@click.argument("file", type=click.File("rb"))
def import_key(file: BinaryIO) -> None:
    """Publish the unencrypted P-256 private key in FILE (PEM; - for standard input). It signs after six minutes."""
    pem = file.read()
    click.echo(f"published: {_with_lifecycle(lambda lifecycle: lifecycle.import_key(pem))}")


@keys.command()
def rewrap() -> None:
    """Encrypt the stored signing keys and the secrets of second factors under the first secret of AUTH_SECRET_KEY, so
    that the others can be removed.
    """
    click.echo(f"signing keys encrypted again: {_with_lifecycle(lambda lifecycle: lifecycle.rewrap())}")
    factors = run_with_database(_rewrap_factors, with_key=True)
    click.echo(f"second factors encrypted again: {factors.done}")
    if factors.unreadable:
        told = "that cannot be opened: AUTH_SECRET_KEY does not include their secret, so no code of them is right"
        click.echo(f"second factors {told}: {factors.unreadable}", err=True)
        sys.exit(1)


async def _rewrap_factors(database: Database, settings: Settings) -> Rewrapped:
    return await FactorRewrapping(database, SecretKeys.from_settings(settings)).rewrap()


def _with_lifecycle(work: Callable[[KeyLifecycle], Coroutine[Any, Any, Result]]) -> Result:
    async def change_keys(database: Database, settings: Settings) -> Result:
        secrets = SecretKeys.from_settings(settings)
        return await work(KeyLifecycle(database, secrets, settings.keys.rotation_interval))

    return run_with_database(change_keys, with_key=True, tell=True)


def _text(value: str | datetime | None) -> str | None:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
