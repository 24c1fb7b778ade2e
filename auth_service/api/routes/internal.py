"""`/internal/revocations` and `/internal/introspect`: for gateways and services that verify tokens themselves."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from starlette.requests import Request
from starlette.responses import Response

from auth_service.api.http.bodies.form_body import BODY, TokenParameter
from auth_service.api.http.bodies.json_body import StrictJsonRoute
from auth_service.api.http.etags import conditional
from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import ServicesDep, set_requester
from auth_service.api.requests.internal_token import internal_only
from auth_service.api.schemas.verifying import EndedSessionSet, Introspection, RevocationsQuery
from auth_service.services.sessions.oauth_tokens import ActiveToken
from auth_service.services.sessions.revocation_document import Document
from auth_service.settings import Settings

router = APIRouter(
    prefix="/internal",
    tags=["internal"],
    route_class=StrictJsonRoute,
    dependencies=[Depends(set_requester), Depends(internal_only)],
)


@router.get(
    "/revocations",
    response_model=EndedSessionSet,
    responses={
        304: {"description": "Unchanged since the ETag in If-None-Match"},
        **problems("invalid-internal-token", "validation-error", "unavailable"),
    },
)
async def list_revocations(
    request: Request, services: ServicesDep, query: Annotated[RevocationsQuery, Query()]
) -> Response:
    """List the sessions that ended within the lifetime of an access token: refuse tokens whose `sid` is listed.

    With `?wait=30`, and the ETag of the last answer in If-None-Match, the answer is sent as soon as the set changes.
    """
    news, wait = services.revocations, query.wait
    response = _answer(request, await news.document())
    if wait and response.status_code == status.HTTP_304_NOT_MODIFIED:
        await news.wait_for_more(wait)
        response = _answer(request, await news.document())
    return response


def _answer(request: Request, document: Document) -> Response:
    return conditional(request, document.body, "no-cache", document.digest)


@router.post(
    "/introspect",
    openapi_extra=BODY,
    responses=problems(
        "invalid-internal-token", "invalid-request", "unsupported-media-type", "request-timeout",
        "database-unavailable", "unavailable",
    ),
)  # fmt: skip
async def introspect_token(token: TokenParameter, services: ServicesDep) -> Introspection:
    """Describe a token that would be accepted now (RFC 7662). Any other token gets `{"active": false}` alone."""
    found = await services.oauth_tokens.introspect(token)
    return _described(found, services.settings) if found else Introspection(active=False)


def _described(token: ActiveToken, settings: Settings) -> Introspection:
    is_access_token = token.jti is not None
    return Introspection(
        active=True,
        iss=settings.issuer,
        sub=token.user_id,
        aud=settings.audience if is_access_token else None,
        client_id=settings.tokens.client_id,
        sid=token.session_id,
        roles=[token.role],
        exp=token.expires_at,
        iat=token.issued_at,
        jti=token.jti,
        auth_time=token.auth_time,
        acr=token.acr,
        amr=list(token.amr) or None,
        token_type="Bearer" if is_access_token else None,  # the type, not a token
    )
