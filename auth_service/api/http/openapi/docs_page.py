"""`/docs`: the OpenAPI document as a page that signs in, and loads nothing from elsewhere."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent / "docs"
# The styles that Swagger UI writes into its elements have no hash that could be told ahead.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def serve(app: FastAPI) -> None:
    """Serve the page, and Swagger UI as `fastapi_offline` brings it along; nothing if that is not installed."""
    spec = find_spec("fastapi_offline")  # found, not imported: only its files are wanted
    if spec is None or spec.origin is None:
        return
    app.mount("/docs/assets", StaticFiles(directory=Path(spec.origin).parent / "static"))
    app.get("/docs", include_in_schema=False)(_page)
    app.get("/docs/{name}", include_in_schema=False)(_file)
    app.get("/", include_in_schema=False)(_root)


async def _page() -> FileResponse:
    return FileResponse(FOLDER / "page.html", headers={"Content-Security-Policy": POLICY})


async def _file(name: str) -> FileResponse:
    if name not in {"page.js", "page.css"}:
        raise HTTPException(404)
    return FileResponse(FOLDER / name)


async def _root() -> RedirectResponse:
    return RedirectResponse("docs", 303)  # relative: a gateway may have taken a prefix away
