"""`auth-service openapi`: the OpenAPI document, printed."""

import json

import click

from auth_service.cli.wrong_setting import settings_or_exit
from auth_service.main import create_app


@click.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    settings = settings_or_exit()
    quiet = settings.model_copy(update={"log": settings.log.model_copy(update={"level": "warning"})})
    click.echo(json.dumps(create_app(quiet).openapi(), indent=2))
