"""`--for`: what is to run with the settings, which the settings alone do not tell."""

import click

from auth_service.embedded_secret import with_secret
from auth_service.settings import Settings, WrongSettingError

SERVE, CLEANUP = "serve", "cleanup"

for_option = click.option(
    "--for", "word", default=SERVE, show_default=True, type=click.Choice([SERVE, CLEANUP]),
    help="What is to run with the settings; the clean-up needs no secret key.",
)  # fmt: skip


def with_secret_to_serve(settings: Settings) -> Settings:
    """Return settings that have a secret key.

    Raises:
        WrongSettingError: as of `with_secret`; where a key is missing, with the word for who needs none.
    """
    try:
        return with_secret(settings)
    except WrongSettingError as error:
        if settings.database.is_postgresql:
            raise WrongSettingError(f"{error}; the clean-up needs none: --for {CLEANUP}") from None
        raise
