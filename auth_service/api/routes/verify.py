"""`/internal/verify`: what a gateway asks before it lets a request through to an application.

It stands before the framework, as it is asked for every request of every application; only its refusals take the
long way.
"""

import re
import time
from collections.abc import Awaitable, Iterable, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from auth_service.api.http.middleware.denials import Denials
from auth_service.api.http.middleware.headers import DEFAULTS
from auth_service.api.http.middleware.limits import is_too_large
from auth_service.api.http.middleware.request_context import RequestContext
from auth_service.api.http.middleware.request_counts import RequestCounts
from auth_service.api.http.openapi import problems
from auth_service.api.http.problems import HeadersTooLarge, InternalError, answer
from auth_service.api.http.problems.field_errors import EMPTY, is_speakable
from auth_service.api.requests.dependencies import bearer_token
from auth_service.api.requests.internal_token import require_token
from auth_service.errors import FieldFault, InvalidFields, Reason, Refused
from auth_service.models import Acr
from auth_service.security.tokens.claims import Claims
from auth_service.services.services import Services

log = structlog.get_logger()

PATH = "/internal/verify"
ROUTE = SimpleNamespace(path=PATH)  # what the framework would have found

_ALWAYS = (*DEFAULTS, (b"content-length", b"0"))
_SECONDS = re.compile(r"[0-9]{1,9}")
_QUERY = "Must be role=ROLE, one or more times, acr=aal1, aal2 or phr, max_age=SECONDS, and nothing else."


class Verify:
    """Answers every verb on one path, and hands on everything else."""

    def __init__(self, app: ASGIApp, services: Services, counts: RequestCounts, denials: Denials) -> None:
        self._app = app
        self._denials = denials
        self._services = services
        self._counts = counts
        self._observe = counts.observe

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or scope["path"] != PATH:
            return self._app(scope, receive, send)
        return self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        scope["route"] = ROUTE
        try:
            claims = await self._verify(scope)
        except Refused as refused:
            await self._refuse(refused, started, scope, receive, send)
        except Exception as error:  # as `ErrorBoundary` does for every other route
            log.exception("request.failed", exc_info=error)
            await self._refuse(InternalError(), started, scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": _headers(claims)})
            await send({"type": "http.response.body", "body": b""})
            self._observe(PATH, scope["method"], 200, time.perf_counter() - started)

    async def _verify(self, scope: Scope) -> Claims:
        if is_too_large(scope["headers"]):
            raise HeadersTooLarge
        authorization, internal = [], ""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization.append(value.decode("latin-1"))
            elif name == b"x-internal-token":
                internal = value.decode("latin-1")
        require_token(internal, self._services.settings)
        wanted = _requirements(scope["query_string"]) if scope["query_string"] else {}
        return await self._services.bearers.verify(bearer_token(authorization), **wanted)

    async def _refuse(self, refused: Refused, started: float, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._services.settings

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            self._denials.record(refused, scope)
            await answer(refused, settings.base_url)(scope, receive, send)

        took = time.perf_counter() - started
        await RequestContext(respond, self._counts, settings.proxy, took)(scope, receive, send)


def _headers(claims: Claims) -> list[tuple[bytes, bytes]]:
    """All of them always, if empty: a gateway that copies what is there alone would let the client's own stand.

    Of the sign-in, the token of an older service says nothing.
    """
    user_id, session_id = claims.ids
    return [
        (b"x-auth-user", user_id),
        (b"x-auth-session", session_id),
        *_shared_headers(claims.role, claims.acr or "", claims.amr),
        (b"x-auth-time", b"" if claims.auth_time is None else b"%d" % claims.auth_time),
    ]


@lru_cache(maxsize=64)
def _shared_headers(role: str, acr: str, amr: tuple[str, ...]) -> Sequence[tuple[bytes, bytes]]:
    """Those that are the same for nearly everybody, made once."""
    about = {b"x-auth-role": role, b"x-auth-acr": acr, b"x-auth-amr": " ".join(amr)}
    return *((name, value.encode()) for name, value in about.items()), *_ALWAYS


def _requirements(query: bytes) -> dict[str, Any]:
    """What the query asks for, as `Bearers.verify` takes it. A requirement that is not understood must not be ignored.

    Of several roles one is enough. The others are those of RFC 9470, each given once at most.
    """
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        given.setdefault(name, []).append(value)
    roles, acrs, ages = (given.pop(name, []) for name in ("role", "acr", "max_age"))
    is_clear = (roles or acrs or ages) and not given and all(roles) and len(acrs) <= 1 and len(ages) <= 1
    if not is_clear or not set(acrs) <= set(Acr) or not all(_SECONDS.fullmatch(age) for age in ages):
        raise InvalidFields(_unclear(roles, acrs, ages, given))
    return {"roles": roles, "acr": Acr(acrs[0]) if acrs else None, "max_age": int(ages[0]) if ages else None}


def _unclear(roles: list[str], acrs: list[str], ages: list[str], unknown: Iterable[str]) -> list[FieldFault]:
    """What is wrong with such a query."""
    faults = [FieldFault(name if is_speakable(name) else "query", Reason.UNKNOWN_FIELD, _QUERY) for name in unknown]
    if not all(roles):
        faults.append(FieldFault("role", Reason.REQUIRED, EMPTY))
    faults += [
        FieldFault(name, Reason.REPEATED, "May be given only once.")
        for name, values in (("acr", acrs), ("max_age", ages))
        if len(values) > 1
    ]
    if not set(acrs) <= set(Acr):
        faults.append(FieldFault("acr", Reason.UNKNOWN_VALUE, "Must be aal1, aal2 or phr."))
    if not all(_SECONDS.fullmatch(age) for age in ages):
        faults.append(FieldFault("max_age", Reason.WRONG_TYPE, "Must be a whole number of at most 9 digits."))
    return faults or [FieldFault("query", Reason.REQUIRED, _QUERY)]


def describe() -> dict[str, Any]:
    """This path for the OpenAPI document, which is otherwise made from the framework's routes."""
    headers = {
        "X-Auth-User": "The user's id",
        "X-Auth-Session": "The session's id",
        "X-Auth-Role": "The user's role",
        "X-Auth-Acr": "The class of the sign-in (`acr`); like the next two, empty for the token of an older service",
        "X-Auth-Amr": "Its methods (`amr`), parted by blanks",
        "X-Auth-Time": "When it was (`auth_time`), in seconds since 1970",
    }
    schema = {"type": "string"}
    granted = {
        "description": "The access token is valid and its session is active",
        "headers": {name: {"description": text, "schema": schema} for name, text in headers.items()},
    }
    refusals = problems(
        "missing-access-token", "invalid-access-token", "insufficient-role", "step-up-required",
        "invalid-internal-token", "validation-error", "headers-too-large", "unavailable", "database-unavailable",
    )  # fmt: skip
    return {
        PATH: {
            "get": {
                "tags": ["internal"],
                "summary": "Verify",
                "description": "Identify the bearer of an access token. Answers every HTTP method, never rotates a "
                "token and never asks the database.",
                "operationId": "verify",
                "security": [{"access_token": [], "internal_token": []}],
                "parameters": [
                    {
                        "name": "role",
                        "in": "query",
                        "description": "The role that the bearer must have; one is enough if several are given",
                        "schema": {"type": "array", "items": {**schema, "minLength": 1}},
                    },
                    {
                        "name": "acr",
                        "in": "query",
                        "description": "The least class of the sign-in that will do (RFC 9470)",
                        "schema": {**schema, "enum": list(Acr)},
                    },
                    {
                        "name": "max_age",
                        "in": "query",
                        "description": "The most seconds since the sign-in (RFC 9470)",
                        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
                    },
                ],
                "responses": {"200": granted, **{str(status): value for status, value in refusals.items()}},
            }
        }
    }
