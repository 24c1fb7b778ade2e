"""`/.well-known/jwks.json`, and the pages that explain each problem."""

import hashlib
import json
from html import escape

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from auth_service.api.dependencies import ServicesDep
from auth_service.api.openapi import problems
from auth_service.api.problem_table import PROBLEMS
from auth_service.api.schemas import JsonWebKeySet

router = APIRouter()

JWKS_MAX_AGE = 300  # seconds; a key is published for at least this long before it signs


@router.get(
    "/.well-known/jwks.json",
    tags=["keys"],
    response_model=JsonWebKeySet,
    responses={304: {"description": "Unchanged since the ETag in If-None-Match"}, **problems("database-unavailable")},
)
async def jwks(request: Request, services: ServicesDep) -> Response:
    """The public keys that verify access tokens (RFC 7517)."""
    body = json.dumps({"keys": await services.keys.published()}, separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE}", "ETag": etag}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


@router.get("/problems/{code}", include_in_schema=False)
async def problem_page(code: str) -> HTMLResponse:
    """What a `type` of a problem points at."""
    problem = PROBLEMS.get(code)
    if problem is None:
        raise HTTPException(404)
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(problem.title)}</title>"
        f"<h1>{escape(problem.title)}</h1><p><code>{escape(code)}</code>, status {problem.status}</p>"
        f"<p>{escape(problem.explanation)}</p></html>"
    )
    return HTMLResponse(page, headers={"Cache-Control": "public, max-age=3600"})
