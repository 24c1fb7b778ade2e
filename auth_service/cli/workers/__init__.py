"""Several workers with memory in common. The parent imports this, so the service itself is imported when one starts."""

from collections.abc import Callable
from typing import Any

from auth_service.shared_memory import SharedMemory


class SharingApplication:
    """What uvicorn calls in each worker for the application: it sends this object there."""

    def __init__(self, workers: int) -> None:
        self._memory = SharedMemory.create(workers)

    def __call__(self) -> Callable[..., Any]:
        from auth_service.cli.workers.application import application  # noqa: PLC0415  # see above

        return application(self._memory)
