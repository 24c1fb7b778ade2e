"""A route that FastAPI completes when somebody asks for it."""

from collections.abc import Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Route


class LazyRoute(APIRoute):
    """A route that is found by its path and method. FastAPI builds the rest for the first request or the document: its
    dependencies, and what validates its parameters, bodies and answers.

    Plain requests of the hot routes need none of that, and most processes never meet most of the others. Built at the
    start, the routes of this service take 1.9 MiB and a twentieth of its CPU time; one takes a few milliseconds.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **declared: Any) -> None:
        found_by = {name: declared[name] for name in ("methods", "name", "include_in_schema")}
        Route.__init__(self, path, endpoint, **found_by)
        self.methods = set(declared["methods"])  # without the HEAD that Starlette adds: FastAPI does not
        del self.app
        self._declared = declared

    def __getattr__(self, name: str) -> Any:
        """Python asks this for what is not there, so only until the route is complete."""
        declared = self.__dict__.pop("_declared", None)
        if declared is None:
            raise AttributeError(name)
        super().__init__(self.path, self.endpoint, **declared)
        return getattr(self, name)
