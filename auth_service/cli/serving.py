"""What a process that serves is made of. uvicorn imports it in each of them, and `serve` itself needs none of it."""

from collections.abc import Callable
from typing import Any

from auth_service.cli.garbage_collector import collector_at_rest

with collector_at_rest():
    from auth_service.api.http.protocol import Protocol
    from auth_service.main import create_app

__all__ = ["Protocol", "application"]


def application() -> Callable[..., Any]:
    """Return the service; its parts stay for good as well."""
    with collector_at_rest():
        return create_app()
