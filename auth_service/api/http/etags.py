"""Answers with a strong ETag, and 304 for a client that has them already (RFC 9110, sections 8.8.3 and 13.1.2)."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response


def conditional(request: Request, body: bytes, cache_control: str, digest: str | None = None) -> Response:
    """Return the JSON document, or 304 if one of the tags in If-None-Match is its own. `digest` is given if known."""
    etag = f'"{digest or hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": cache_control, "ETag": etag}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
