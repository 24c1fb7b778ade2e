"""`auth-service users`: accounts, looked after by hand."""

import click

from auth_service.cli import Words

PLACES = {
    "create": ("users.accounts", "create"),
    "list": ("users.views", "list_users"),
    "show": ("users.views", "show"),
    "disable": ("users.accounts", "disable"),
    "enable": ("users.accounts", "enable"),
    "delete": ("users.accounts", "delete"),
    "set-role": ("users.accounts", "set_role"),
    "reset-password": ("users.recovery", "reset_password"),
    "verify": ("users.recovery", "verify"),
    "end-sessions": ("users.recovery", "end_sessions"),
    "set-email": ("users.recovery", "set_email"),
    "reset-factors": ("users.recovery", "reset_factors"),
    "import": ("users.imports", "import_users"),
    "export": ("users.exports", "export_users"),
    "hashes": ("users.hashes", "hashes"),
}


@click.group(cls=Words, places=PLACES)
def users() -> None:
    """Manage accounts."""
