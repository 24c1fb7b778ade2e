"""`auth-service users`: accounts, looked after by hand."""

import click

from auth_service.cli.users.accounts import create, delete, disable, enable, set_role
from auth_service.cli.users.exports import export_users
from auth_service.cli.users.hashes import hashes
from auth_service.cli.users.imports import import_users
from auth_service.cli.users.recovery import end_sessions, reset_factors, reset_password, set_email, verify
from auth_service.cli.users.views import list_users, show


@click.group()
def users() -> None:
    """Manage accounts."""


for command in (
    create, list_users, show, disable, enable, delete, set_role, reset_password, verify, end_sessions, set_email,
    reset_factors, import_users, export_users, hashes,
):  # fmt: skip
    users.add_command(command)
