"""The OpenAPI document: each route names the problems it can answer with, and `/docs` needs no internet."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles

from auth_service.api.http.problem_table import PROBLEMS
from auth_service.api.schemas.common import ProblemDetails
from auth_service.api.schemas.factors import (
    EnrolmentRequiredProblem,
    InvalidCredentialsProblem,
    SecondFactorRequiredProblem,
    StepUpProblem,
)
from auth_service.api.schemas.links import InvalidLinkProblem

ALWAYS = ("internal-error", "headers-too-large", "body-too-large", "bad-request")
WITH_BODY = ("malformed-json", "request-timeout", "unsupported-media-type", "validation-error")

_SECONDS = {
    "description": "Seconds to wait before trying again",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_CHALLENGE = {
    "description": "RFC 6750, section 3",
    "required": True,
    "schema": {"type": "string", "pattern": "^Bearer"},
}
_HEADERS = {
    401: {"headers": {"WWW-Authenticate": _CHALLENGE}},
    429: {"headers": {"Retry-After": _SECONDS}},
    503: {"headers": {"Retry-After": _SECONDS}},
}

_WITH_MEMBERS: dict[str, type[ProblemDetails]] = {
    "invalid-credentials": InvalidCredentialsProblem,
    "invalid-link": InvalidLinkProblem,
    "second-factor-required": SecondFactorRequiredProblem,
    "second-factor-enrolment-required": EnrolmentRequiredProblem,
    "step-up-required": StepUpProblem,
}
"""The problems that tell more than all do."""


def problems(*codes: str, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route: the named problems, those of a JSON body, and those of any route."""
    by_status: dict[int, list[str]] = {}
    for code in sorted({*codes, *ALWAYS, *(WITH_BODY if body else ())}):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {status: _response(status, found) for status, found in by_status.items()}


def _response(status: int, codes: Sequence[str]) -> dict[str, Any]:
    names = sorted({_WITH_MEMBERS.get(code, ProblemDetails).__name__ for code in codes})
    schemas = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return {
        "description": "\n\n".join(f"`{code}`: {PROBLEMS[code].explanation}" for code in codes),
        "content": {"application/problem+json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}},
        **_HEADERS.get(status, {}),
    }


def install(app: FastAPI, routes: Sequence[BaseRoute], *, serve: bool, more_paths: Mapping[str, Any]) -> None:
    """Complete the document, in the order of `routes`, and serve it with its page unless this is production."""
    make = app.openapi
    order = [route.path_format for route in routes if isinstance(route, Route) and route.include_in_schema]

    def document() -> dict[str, Any]:
        made = make()
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        models: list[type[ProblemDetails]] = [ProblemDetails, *_WITH_MEMBERS.values()]
        for model in models:
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        paths = {**made["paths"], **more_paths}
        made["paths"] = {path: paths[path] for path in (*order, *more_paths)}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return made

    app.openapi = document  # type: ignore[method-assign]
    if serve:
        _serve(app)


def _serve(app: FastAPI) -> None:
    spec = find_spec("fastapi_offline")  # found, not imported: only its files are wanted
    if spec is None or spec.origin is None:
        return
    app.mount("/docs/assets", StaticFiles(directory=Path(spec.origin).parent / "static"))
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=app.title,
        swagger_js_url="docs/assets/swagger-ui-bundle.js",
        swagger_css_url="docs/assets/swagger-ui.css",
        swagger_favicon_url="docs/assets/favicon.png",
    )
    policy = {"Content-Security-Policy": _policy(bytes(page.body))}

    # No closure over the app: the framework remembers the functions of routes, and the app would live as long.
    app.get("/openapi.json", include_in_schema=False)(_openapi_document)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.body, headers=policy)

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("docs", 303)  # relative: a gateway may have taken a prefix away


async def _openapi_document(request: Request) -> dict[str, Any]:
    document: dict[str, Any] = request.app.openapi()
    return document


def _policy(page: bytes) -> str:
    """What the page of the documentation may do: load its own files, run the script it holds, and call this service.

    The styles that Swagger UI writes into its elements have no hash that could be told ahead.
    """
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    return (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
