"""`/.well-known/*`, and the pages that explain each problem."""

import json
from html import escape
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from auth_service.api.http.etags import conditional
from auth_service.api.http.html.pages import HtmlPages
from auth_service.api.http.lazy_route import LazyRoute
from auth_service.api.http.openapi import problems
from auth_service.api.http.problems.table import PROBLEMS
from auth_service.api.requests.dependencies import ServicesDep, set_requester
from auth_service.api.schemas.verifying import JsonWebKeySet, ServerMetadata

router = APIRouter(route_class=LazyRoute, dependencies=[Depends(set_requester)])

JWKS_MAX_AGE = 300  # seconds; a key is published for at least this long before it signs
METADATA_MAX_AGE = 3600  # seconds


@router.get(
    "/.well-known/jwks.json",
    tags=["keys"],
    response_model=JsonWebKeySet,
    responses={304: {"description": "Unchanged since the ETag in If-None-Match"}, **problems("database-unavailable")},
)
async def list_keys(request: Request, services: ServicesDep) -> Response:
    """The public keys that verify access tokens (RFC 7517)."""
    body = json.dumps({"keys": await services.keys.published()}, separators=(",", ":")).encode()
    return conditional(request, body, f"public, max-age={JWKS_MAX_AGE}")


@router.get(
    "/.well-known/oauth-authorization-server",
    tags=["keys"],
    response_model=ServerMetadata,
    responses=problems(),
)
async def show_metadata(services: ServicesDep, response: Response) -> ServerMetadata:
    """The authorization server metadata: endpoints and issuer (RFC 8414)."""
    settings = services.settings
    response.headers["Cache-Control"] = f"public, max-age={METADATA_MAX_AGE}"
    return ServerMetadata(
        issuer=settings.issuer,
        jwks_uri=f"{settings.base_url}/.well-known/jwks.json",
        revocation_endpoint=f"{settings.base_url}/auth/revoke",
    )


@router.get("/.well-known/oauth-authorization-server/{path:path}", include_in_schema=False)
async def metadata_of_issuer(path: str, services: ServicesDep, response: Response) -> ServerMetadata:
    """The same for an issuer with a path, which follows the well-known one (RFC 8414, section 3.1)."""
    if path != urlsplit(services.settings.issuer).path.strip("/"):
        raise HTTPException(404)
    return await show_metadata(services, response)


@router.get("/problems/{code}", include_in_schema=False)
async def problem_page(code: str, request: Request) -> Response:
    """The page that the `type` of a problem links to."""
    problem = PROBLEMS.get(code)
    if problem is None:
        raise HTTPException(404)
    html: HtmlPages = request.app.state.html
    content = (
        f"<p>{escape(problem.explanation)}</p>\n"
        f'<p class="small">Status {problem.status}, <code>{escape(code)}</code></p>'
    )
    return html.answer(problem.title, content, Cache_Control="public, max-age=3600")
