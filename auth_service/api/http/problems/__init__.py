"""Errors as HTTP: the `application/problem+json` answers (RFC 9457) of every refusal."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from auth_service.api.http.problems.field_rules import all_faults
from auth_service.api.http.problems.table import PROBLEMS, Problem
from auth_service.api.requests import cookies
from auth_service.errors import (
    DatabaseUnavailable,
    FieldFault,
    HashingOverloaded,
    InsufficientRole,
    InvalidAccessToken,
    InvalidFields,
    MissingPrivileges,
    Refused,
    ShuttingDown,
    StepUpRequired,
    TooManyAttempts,
    Unavailable,
)
from auth_service.logs import REQUEST_ID, causes_of

log = structlog.get_logger()

HEALTH = "/health/"  # the paths that tell operators, who alone can reach them, what is wrong with the database
_CODE_OF_STATUS = {404: "not-found", 405: "method-not-allowed"}


class MalformedJson(Refused):
    code = "malformed-json"
    detail = "The body is not valid JSON in UTF-8."


class BadRequest(Refused):
    code = "bad-request"
    detail = "The request is not valid HTTP."


class PreflightRefused(Refused):
    code = "preflight-refused"
    detail = "The origin of this page is not listed in AUTH_CORS__ORIGINS."


class RequestTimeout(Refused):
    code = "request-timeout"
    detail = "The body did not arrive in time."


class InvalidRequest(Refused):
    code = "invalid-request"
    detail = "Send the form parameter token, and no parameter twice."


class BodyTooLarge(Refused):
    code = "body-too-large"
    detail = "A body may have at most 16 KiB."


class UnsupportedMediaType(Refused):
    code = "unsupported-media-type"
    detail = "The body must be of the media type that this path takes."


class UnsupportedContentCoding(UnsupportedMediaType):
    detail = "The body must not be compressed or otherwise encoded: send it without Content-Encoding."


class HeadersTooLarge(Refused):
    code = "headers-too-large"
    detail = "The request line may have at most 64 KiB, and the headers 16 KiB in 100 lines."


class InternalError(Refused):
    code = "internal-error"
    detail = "Something went wrong on our side."


def answer(
    refused: Refused, base_url: str, headers: Mapping[str, str] | None = None, *, for_operators: bool = False
) -> Response:
    """Return a refusal as `application/problem+json`. The request id is the one of the log, which tells all.

    What is wrong with the database, and what would mend it, is said in an answer `for_operators` alone.
    """
    is_told = for_operators or not isinstance(refused, DatabaseUnavailable)
    problem = PROBLEMS[refused.code]
    body: dict[str, Any] = {
        "type": f"{base_url}/problems/{refused.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": refused.detail if is_told else DatabaseUnavailable.public_detail,
        "code": refused.code,
        "request_id": REQUEST_ID.get(),
        **refused.members,
    }
    if isinstance(refused, InvalidRequest):
        body["error"] = "invalid_request"  # for OAuth clients (RFC 6749, section 5.2)
    if isinstance(refused, InvalidFields):
        body["errors"] = [_told(fault) for fault in refused.faults]
    all_headers = {**_headers_of(refused, problem), **(headers or {})}
    return JSONResponse(body, problem.status, all_headers, media_type="application/problem+json")


def _told(fault: FieldFault) -> dict[str, str | int]:
    return {name: value for name, value in fault._asdict().items() if value is not None}


def _headers_of(refused: Refused, problem: Problem) -> dict[str, str]:
    if isinstance(refused, Unavailable | TooManyAttempts):
        return {"Retry-After": str(refused.retry_after)}
    if isinstance(refused, InvalidAccessToken):
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # RFC 6750, section 3.1
    if isinstance(refused, InsufficientRole):
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
    if isinstance(refused, StepUpRequired):
        return {"WWW-Authenticate": _step_up_challenge(refused)}
    if problem.status == 401:  # noqa: PLR2004
        return {"WWW-Authenticate": "Bearer"}
    # What was refused for its size or slowness is not read to its end.
    accepted = {"Accept-Encoding": "identity"} if isinstance(refused, UnsupportedContentCoding) else {}
    return {"Connection": "close"} if problem.status in {408, 413, 431} else accepted


def _step_up_challenge(refused: StepUpRequired) -> str:
    """What is asked for, as a client of OAuth reads it (RFC 9470, section 3)."""
    told = {"error": "insufficient_user_authentication", "error_description": refused.detail, **refused.members}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told.items())


def answer_to(request: Request, refused: Refused, base_url: str) -> Response:
    """Return the answer to a request that was refused, and tell the log when the machinery is why."""
    if isinstance(refused, Unavailable):
        # A flood is counted (/metrics), not told line by line: that would cost a quarter of refusing it.
        tell = log.debug if isinstance(refused, HashingOverloaded | ShuttingDown) else log.warning
        missing = {"missing": refused.missing} if isinstance(refused, MissingPrivileges) else {}
        told = {"code": refused.code, "detail": refused.detail, "caused_by": causes_of(refused)}
        tell("request.unavailable", **told, **missing)
    for_operators = request.scope["path"].startswith(HEALTH)
    return answer(refused, base_url, cookies.on_refusal(refused, request), for_operators=for_operators)


def install(app: FastAPI, base_url: str, routes: Sequence[BaseRoute]) -> None:
    """Answer the refusals of FastAPI and of Starlette as problems, as `ErrorBoundary` does our own."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(InvalidFields(all_faults(request, error)), base_url)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        found = BadRequest()
        found.code = _CODE_OF_STATUS.get(error.status_code, "bad-request")  # type: ignore[misc]
        found.detail = PROBLEMS[found.code].explanation
        allow = {"Allow": allowed_methods(request.scope, routes)} if error.status_code == 405 else {}  # noqa: PLR2004
        return answer(found, base_url, {**(error.headers or {}), **allow})


def allowed_methods(scope: Scope, routes: Sequence[BaseRoute]) -> str:
    """Return every method of the path, for Allow (RFC 9110, section 10.2.1); of `*`, all that are known; or nothing.

    Starlette names those of the first route that has the path.
    """
    asked = {**scope, "root_path": scope.get("app_root_path", "")}  # not that of a folder of files
    is_asked_of_all = scope["path"] == "*"
    matching = [route for route in routes if is_asked_of_all or route.matches(asked)[0] is not Match.NONE]
    # Such a folder has no methods of its own.
    methods = {method for route in matching for method in getattr(route, "methods", None) or ("GET",)}
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))) if methods else ""
