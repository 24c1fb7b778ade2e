"""For FastAPI: `install(app, verifier)` once, and `Depends(requires(verifier))` wherever a bearer is needed."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer

from auth_service.verifier.bearer import token_of
from auth_service.verifier.claims import Claims
from auth_service.verifier.errors import Refused
from auth_service.verifier.sign_ins import Level, check_requirement
from auth_service.verifier.verifier import Verifier

logger = logging.getLogger("auth_service.verifier")


class _Requires(HTTPBearer):
    """Shows in the OpenAPI document as the bearer scheme; without FastAPI's own reading of the header."""

    def __init__(self, verifier: Verifier, roles: tuple[str, ...], acr: Level | None, max_age: int | None) -> None:
        super().__init__(bearerFormat="JWT", scheme_name="access_token")
        check_requirement(acr, max_age)
        self._verify = partial(verifier.verify, acr=acr, max_age=max_age)
        self._roles = roles

    async def __call__(self, request: Request) -> Claims:  # type: ignore[override]
        return await self._verify(token_of(request.headers.getlist("authorization")), *self._roles)


def requires(verifier: Verifier, *roles: str, acr: Level | None = None, max_age: int | None = None) -> _Requires:
    """A dependency that returns the claims of a bearer who has one of the roles, if any are named.

    `acr` is how sure the sign-in must be at least, `max_age` how many seconds ago it may have been at most.

    Raises:
        ValueError: `acr` or `max_age` can be met by nobody.
    """
    return _Requires(verifier, roles, acr, max_age)


def install(app: FastAPI, verifier: Verifier) -> None:
    """Let the verifier live as long as the app, and answer refusals as `application/problem+json`."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> Response:
        logger.debug("not let in: %s %s", error.code, error)
        return JSONResponse(
            error.problem(verifier.issuer), error.status, error.headers, media_type="application/problem+json"
        )

    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(started: FastAPI) -> AsyncIterator[Any]:
        async with verifier, inner(started) as state:
            yield state

    app.router.lifespan_context = lifespan
