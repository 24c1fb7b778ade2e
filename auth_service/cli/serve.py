"""`auth-service serve`: the API, served by uvicorn."""

import signal
import sys
from typing import Any

import click
import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess

from auth_service import logs
from auth_service.cli.numbers import WholeNumber
from auth_service.cli.workers import SharingApplication
from auth_service.cli.wrong_setting import check_templates, settings_or_exit

GRACEFUL_SECONDS = 8  # after the drain, and before the parts are stopped: docs/operating.md has the sum
KEEP_ALIVE_SECONDS = 15
DEFAULT_PORT = 8000  # as in the default of AUTH_PUBLIC_URL

log = structlog.get_logger()


def _address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """An empty one, as of a variable that is not set, would be every address of the machine."""
    if not value or "/" in value or "[" in value or value.count(":") == 1:
        raise click.BadParameter("must be one address or name alone, such as 127.0.0.1 or ::1; the port is --port.")
    return value


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, callback=_address, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=WholeNumber(0, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=WholeNumber(1, 256), help="Worker processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Serve the API."""
    settings = settings_or_exit(with_key=True)
    check_templates(settings)
    logs.configure(settings.log)
    if port != DEFAULT_PORT and not settings.is_public_url_set:
        hint = f"tokens, links and cookies name {settings.base_url}: set AUTH_PUBLIC_URL to the URL that clients use"
        log.warning("service.other_port", port=port, hint=hint)
    # uvicorn raises the signal again once it has shut down; being asked to end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Blocked and not ignored: uvicorn's supervisor has a handler of its own for it, and workers inherit the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        options = _options(host, port, workers)
        if workers == 1:
            uvicorn.run("auth_service.cli.workers.application:application", **options)
        else:  # what `uvicorn.run` does too, but that takes no application with memory of its own
            config = uvicorn.Config(SharingApplication(workers), **options)
            Multiprocess(config, sockets=[config.bind_socket()]).run()
    except SystemExit as end:  # uvicorn has codes of its own, such as 3 for a port that is taken
        sys.exit(1 if end.code else 0)


def _options(host: str, port: int, workers: int) -> dict[str, Any]:
    """What uvicorn is told, for one worker as for several."""
    return {
        "factory": True,
        "http": "auth_service.cli.workers.application:Protocol",
        "host": host,
        "port": port,
        "workers": workers,  # said always: else the variable WEB_CONCURRENCY decides
        "log_config": None,
        "ws": "none",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # who is believed is AUTH_PROXY__TRUSTED
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": GRACEFUL_SECONDS,
    }
