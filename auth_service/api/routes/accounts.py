"""`/auth/register`, `/auth/me` and `/auth/me/password`."""

from fastapi import APIRouter, Depends, status
from starlette.responses import JSONResponse, Response

from auth_service.api.http.openapi import problems
from auth_service.api.http.plain_route import PlainRequest, PlainRoute, plain
from auth_service.api.requests.cookies import SETS_COOKIE, CookieMode, token_response
from auth_service.api.requests.dependencies import (
    BearerDep,
    DeviceDep,
    RecentBearer,
    ServicesDep,
    bearer_token,
    set_requester,
)
from auth_service.api.schemas.accounts import Accepted, Account, ChangePasswordBody, RegisterBody
from auth_service.api.schemas.fields import secret_of
from auth_service.api.schemas.sessions import Tokens
from auth_service.models import AccountView, User

PASSWORD = ("password-too-short", "password-too-long", "password-blocklisted")

router = APIRouter(prefix="/auth", tags=["accounts"], route_class=PlainRoute, dependencies=[Depends(set_requester)])


@router.post(
    "/register",
    status_code=status.HTTP_201_CREATED,
    response_model=Account,
    responses=problems(
        "account-exists", *PASSWORD, "too-many-attempts", "database-unavailable", "overloaded", body=True
    )
    | {202: {"model": Accepted, "description": "The rest follows by e-mail (AUTH_REGISTRATION__EXISTING=conceal)"}},
)
async def register(body: RegisterBody, device: DeviceDep, services: ServicesDep) -> User | JSONResponse:
    """Create an account. The password must be long enough; there are no rules about its characters."""
    password = body.password.get_secret_value()
    user = await services.registration.register(body.email, password, body.username, device.ip)
    return user or JSONResponse(Accepted().model_dump(), status.HTTP_202_ACCEPTED)


BEARER = ("missing-access-token", "invalid-access-token", "database-unavailable")
RECENT = (*BEARER, "step-up-required")


@router.get("/me", response_model=Account, responses=problems(*BEARER))
async def show_account(bearer: BearerDep, services: ServicesDep) -> AccountView:
    """Return the account that the access token belongs to."""
    return await services.registration.show(bearer)


@plain(router, show_account)
async def plain_show_account(request: PlainRequest) -> AccountView:
    request.device()
    bearer = await request.services.bearers.identify(bearer_token([request.text(b"authorization")]))
    return await request.services.registration.show(bearer)


@router.post(
    "/me/password",
    responses={
        200: SETS_COOKIE,
        **problems(
            *RECENT, *PASSWORD, "invalid-credentials", "too-many-attempts", "cross-site-request", "unavailable",
            "overloaded", body=True,
        ),
    },
)  # fmt: skip
async def change_password(
    body: ChangePasswordBody,
    bearer: RecentBearer,
    *,
    device: DeviceDep,
    cookie_mode: CookieMode,
    services: ServicesDep,
    response: Response,
) -> Tokens:
    """Set a new password, and return the tokens of a new session. Every session from before has ended, this one too.

    If the answer is lost, sign in again, with the new password: a retry has only tokens of a session that has ended.
    """
    current, new = secret_of(body.current_password), body.new_password.get_secret_value()
    pair = await services.password_change.change_password(bearer, current, new, device)
    return token_response(pair, response, cookie_mode=cookie_mode)
