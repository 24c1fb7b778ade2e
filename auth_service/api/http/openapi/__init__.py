"""What routes tell the OpenAPI document, which is made when somebody asks for it, and where it is served."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import BaseRoute

from auth_service.api.http.problems.table import PROBLEMS
from auth_service.settings import Settings

ALWAYS = ("internal-error", "headers-too-large", "body-too-large", "bad-request")
WITH_BODY = ("malformed-json", "request-timeout", "unsupported-media-type", "validation-error")
CODES = "x-codes"
"""What stands for the problems of a status until the document is made."""


def problems(*codes: str, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route: the named problems, those of a JSON body, and those of any route."""
    by_status: dict[int, list[str]] = {}
    for code in sorted({*codes, *ALWAYS, *(WITH_BODY if body else ())}):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {status: {CODES: found} for status, found in by_status.items()}


def install(
    app: FastAPI, routes: Sequence[BaseRoute], settings: Settings, more_paths: Callable[[], Mapping[str, Any]]
) -> None:
    """Complete the document, in the order of `routes`, and serve it with its page unless this is production."""
    make = app.openapi

    def document() -> dict[str, Any]:
        # Most processes are never asked for it.
        from auth_service.api.http.openapi.document import complete  # noqa: PLC0415

        if app.openapi_schema is None:
            complete(make(), routes, settings, more_paths())
        return make()

    app.openapi = document  # type: ignore[method-assign]
    if settings.serves_docs:
        from auth_service.api.http.openapi import docs_page  # noqa: PLC0415

        # No closure over the app: the framework remembers the functions of routes, and the app would live as long.
        app.get("/openapi.json", include_in_schema=False)(_openapi_document)
        docs_page.serve(app)


async def _openapi_document(request: Request) -> dict[str, Any]:
    document: dict[str, Any] = request.app.openapi()
    return document
