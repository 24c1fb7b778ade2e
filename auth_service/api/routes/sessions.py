"""`/auth/login`, `/auth/refresh`, `/auth/logout` and `/auth/revoke`."""

from fastapi import APIRouter, Depends, status
from starlette.responses import Response

from auth_service.api.http.bodies.form_body import BODY, TokenParameter
from auth_service.api.http.openapi import problems
from auth_service.api.http.plain_route import PlainRequest, PlainRoute, plain
from auth_service.api.requests.cookies import (
    CLEARED,
    PERHAPS_A_COOKIE,
    SETS_COOKIE,
    CookieMode,
    RefreshToken,
    SentToken,
    token_response,
    tokens_of,
)
from auth_service.api.requests.dependencies import (
    IDEMPOTENCY_KEY,
    DeviceDep,
    IdempotencyKey,
    ServicesDep,
    set_requester,
)
from auth_service.api.schemas.sessions import LoginBody, RefreshTokenBody, Tokens

router = APIRouter(prefix="/auth", tags=["sessions"], route_class=PlainRoute, dependencies=[Depends(set_requester)])

GIVING = ("too-many-attempts", "cross-site-request", "database-unavailable", "unavailable")


@router.post(
    "/login",
    responses={
        200: SETS_COOKIE,
        **problems(
            *GIVING,
            "invalid-credentials",
            "password-too-long",
            "second-factor-required",
            "second-factor-enrolment-required",
            "overloaded",
            body=True,
        ),
    },
)
async def login(
    body: LoginBody, device: DeviceDep, cookie_mode: CookieMode, services: ServicesDep, response: Response
) -> Tokens:
    """Open a session with an e-mail address or a username (exactly one of the two) and the password.

    With a second factor, the right password is answered with 403 and a challenge for the second step.
    """
    pair = await services.login.login(body.email, body.username, body.password.get_secret_value(), device)
    return token_response(pair, response, cookie_mode=cookie_mode)


@plain(router, login)
async def plain_login(request: PlainRequest) -> Tokens | None:
    services = request.services
    services.lane.ensure_room()
    body = await request.body(LoginBody)
    if body is None:
        return None
    password = body.password.get_secret_value()
    pair = await services.login.login(body.email, body.username, password, request.device())
    return tokens_of(pair)


@router.post(
    "/refresh",
    responses={200: SETS_COOKIE, **problems(*GIVING, "invalid-refresh-token", body=True)},
    openapi_extra=PERHAPS_A_COOKIE,
)
async def refresh(
    token: RefreshToken,
    idempotency_key: IdempotencyKey,
    device: DeviceDep,
    *,
    cookie_mode: CookieMode,
    services: ServicesDep,
    response: Response,
) -> Tokens:
    """Exchange a refresh token for its successor.

    A retry, a second tab or a client whose answer was lost gets the session's current token within the grace (30
    seconds), and for 24 hours with the same `Idempotency-Key`. A token used after that ends the session: it has been
    copied.
    """
    pair = await services.refresh.refresh(token, idempotency_key, device)
    return token_response(pair, response, cookie_mode=cookie_mode)


@plain(router, refresh)
async def plain_refresh(request: PlainRequest) -> Tokens | None:
    key = request.text(b"idempotency-key") if b"idempotency-key" in request.headers else None
    body = await request.body(RefreshTokenBody)
    if body is None or body.refresh_token is None or (key is not None and not IDEMPOTENCY_KEY.fullmatch(key)):
        return None
    pair = await request.services.refresh.refresh(body.refresh_token.get_secret_value(), key, request.device())
    return tokens_of(pair)


@router.post(
    "/logout",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems("cross-site-request", "database-unavailable", body=True),
    openapi_extra=PERHAPS_A_COOKIE,
)
async def logout(token: SentToken, cookie_mode: CookieMode, services: ServicesDep, response: Response) -> None:
    """End the session of a refresh token. An unknown or expired one gets the same answer (RFC 7009, section 2.2)."""
    await services.refresh.logout(token or "")
    if cookie_mode:
        response.headers.update(CLEARED)


@router.post(
    "/revoke",
    status_code=status.HTTP_200_OK,
    response_class=Response,
    openapi_extra=BODY,
    responses=problems(
        "invalid-request", "unsupported-media-type", "request-timeout", "database-unavailable", "unavailable"
    ),
)
async def revoke_token(token: TokenParameter, services: ServicesDep) -> Response:
    """End the session of a refresh or access token (RFC 7009). An unknown or expired one gets the same answer."""
    await services.oauth_tokens.revoke(token)
    return Response()
