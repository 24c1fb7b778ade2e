"""What a process that serves is made of. uvicorn imports it in each of them, and `serve` itself needs none of it."""

from collections.abc import Callable
from typing import Any

from auth_service.cli.garbage_collector import collector_at_rest

with collector_at_rest():
    import structlog

    from auth_service.api.http.connections.protocol import Protocol
    from auth_service.main import create_app
    from auth_service.shared_memory import SharedMemory

log = structlog.get_logger()

__all__ = ["Protocol", "application"]


def application(memory: SharedMemory | None = None) -> Callable[..., Any]:
    """Return the service; its parts stay for good as well. `memory` is what several workers share."""
    with collector_at_rest():
        slot = memory.take_slot() if memory else None
        app = create_app(slot=slot)
    if memory and not slot:
        log.warning("metrics.not_shared")
    return app
