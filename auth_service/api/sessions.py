"""`/auth/login`, `/auth/refresh`, `/auth/logout` and `/auth/revoke`."""

from fastapi import APIRouter, status
from starlette.responses import Response

from auth_service.api.dependencies import DeviceDep, IdempotencyKey, Services, ServicesDep
from auth_service.api.form_body import BODY, TokenParameter
from auth_service.api.json_body import StrictJsonRoute
from auth_service.api.openapi import problems
from auth_service.api.schemas import LoginBody, RefreshTokenBody, Tokens
from auth_service.services.sessions import TokenPair

router = APIRouter(prefix="/auth", tags=["sessions"], route_class=StrictJsonRoute)


@router.post(
    "/login",
    responses=problems(
        "invalid-credentials", "too-many-attempts", "database-unavailable", "overloaded", "unavailable", body=True
    ),
)
async def login(body: LoginBody, device: DeviceDep, services: ServicesDep) -> Tokens:
    """Open a session with an e-mail address or a username, exactly one of the two."""
    password = body.password.get_secret_value()
    return _tokens(await services.sessions.login(body.email, body.username, password, device), services)


@router.post(
    "/refresh",
    responses=problems("invalid-refresh-token", "too-many-attempts", "database-unavailable", "unavailable", body=True),
)
async def refresh(body: RefreshTokenBody, idempotency_key: IdempotencyKey, services: ServicesDep) -> Tokens:
    """Exchange a refresh token for its successor.

    A retry, a second tab and a lost answer get the same successor again within the grace (30 seconds), and for 24 hours
    with the same `Idempotency-Key`. A token that is used after that ends the session: somebody else has it too.
    """
    token = body.refresh_token.get_secret_value()
    return _tokens(await services.sessions.refresh(token, idempotency_key), services)


@router.post(
    "/logout",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems("database-unavailable", body=True),
)
async def logout(body: RefreshTokenBody, services: ServicesDep) -> None:
    """End the session of a refresh token; the same answer for an unknown or dead one (RFC 7009, section 2.2)."""
    await services.sessions.logout(body.refresh_token.get_secret_value())


@router.post(
    "/revoke",
    status_code=status.HTTP_200_OK,
    response_class=Response,
    openapi_extra=BODY,
    responses=problems(
        "invalid-request", "unsupported-media-type", "request-timeout", "database-unavailable", "unavailable"
    ),
)
async def revoke(token: TokenParameter, services: ServicesDep) -> Response:
    """End the session of a refresh or access token (RFC 7009); the same answer for one that is unknown or dead."""
    await services.tokens.revoke(token)
    return Response()


def _tokens(pair: TokenPair, services: Services) -> Tokens:
    return Tokens(
        access_token=pair.access_token,
        expires_in=int(services.settings.tokens.access_lifetime.total_seconds()),
        refresh_token=pair.refresh_token,
        refresh_expires_in=pair.refresh_expires_in,
        session_id=pair.session_id,
    )
