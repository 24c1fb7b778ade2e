"""`auth-service double`: a test double for authors of clients."""

from contextlib import closing
from pathlib import Path

import click

from auth_service.cli.numbers import WholeNumber


def _assignment(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    if wrong := [one for one in given if "=" not in one]:
        raise click.BadParameter(f"must be NAME=VALUE, such as AUTH_LOG__LEVEL=info, and {len(wrong)} are not")
    return dict(one.split("=", 1) for one in given)


@click.command()
@click.option("--port", default=9000, show_default=True, type=WholeNumber(0, 65535), help="0 for any that is free.")
@click.option("--origin", "origins", multiple=True, help="A page that may call it, such as http://localhost:5173.")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Keep the database here, not in memory.")
@click.option("--seed", default=1, show_default=True, help="Decides which requests meet faults that come at random.")
@click.option(
    "--set", "more", multiple=True, metavar="NAME=VALUE", callback=_assignment, help="A setting of the service."
)
def double(port: int, origins: tuple[str, ...], file: Path | None, seed: int, more: dict[str, str]) -> None:
    """Serve a test double of this service, for tests of clients alone.

    It prints its URL, and reads neither the environment nor .env. PUT /double/faults and /double/clock make it fail and
    set its clock: docs/testing-clients.md.
    """
    from auth_service.cli.wrong_setting import WrongSetting  # noqa: PLC0415  # `--help` needs none of it
    from auth_service.double.server import listen, serve, variables  # noqa: PLC0415
    from auth_service.settings import WrongSettingError, settings_from  # noqa: PLC0415

    try:
        listening, base_url = listen(port, origins)
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {port}: {error.strerror}") from None
    with closing(listening):
        try:
            settings = settings_from(variables(base_url, origins, file) | more)
        except WrongSettingError as error:
            raise WrongSetting(str(error)) from None
        serve(listening, settings, seed)
