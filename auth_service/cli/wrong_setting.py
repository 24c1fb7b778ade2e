"""The settings of every command. Apart from the database, which `serve` leaves to the processes that it starts."""

import click

from auth_service.embedded_secret import with_secret
from auth_service.settings import Settings, WrongSettingError, read_settings


class WrongSetting(click.ClickException):
    exit_code = 2


def settings_or_exit(*, with_key: bool = False) -> Settings:
    """Read the settings, and if asked the embedded secret key; a wrong one is one line and exit code 2."""
    try:
        return with_secret(read_settings()) if with_key else read_settings()
    except WrongSettingError as error:
        raise WrongSetting(str(error)) from None


def check_templates(settings: Settings) -> None:
    """Raise `WrongSetting` for templates of the operator's that cannot be used; without any, Jinja is not needed."""
    if settings.mail.templates:
        from auth_service.mail.letters import Letters, WrongTemplateError  # noqa: PLC0415

        try:
            Letters(settings.mail.templates, settings.application_name).check()
        except WrongTemplateError as error:
            raise WrongSetting(f"AUTH_MAIL__TEMPLATES: {error}") from None
