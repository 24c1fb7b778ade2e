"""`/auth/login/second-factor` and `/auth/login/enrol`: the second step of a login."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from auth_service.api.http.openapi import problems
from auth_service.api.http.plain_route import PlainRequest, PlainRoute, plain
from auth_service.api.requests.cookies import SETS_COOKIE, CookieMode, token_response, tokens_of
from auth_service.api.requests.dependencies import DeviceDep, ServicesDep, set_requester
from auth_service.api.routes.sessions import GIVING
from auth_service.api.schemas.common import BrowserTokens, Tokens
from auth_service.api.schemas.factors import (
    ChallengeBody,
    EnrolledBrowserTokens,
    EnrolledTokens,
    SecondFactorBody,
    TotpSecret,
    enrolled,
)
from auth_service.services.factors.factor_changes import EnrolmentSecret

router = APIRouter(
    prefix="/auth/login", tags=["second factors"], route_class=PlainRoute, dependencies=[Depends(set_requester)]
)


@router.post(
    "/second-factor",
    responses={200: SETS_COOKIE, **problems(*GIVING, "invalid-second-factor", "overloaded", body=True)},
)
async def second_factor(
    body: SecondFactorBody, device: DeviceDep, cookie_mode: CookieMode, services: ServicesDep, response: Response
) -> Tokens | BrowserTokens:
    """Open a session with the challenge that a right password was answered with, and a code.

    The code is one of the authenticator app, which is good once and for about a minute, or a recovery code. The
    challenge is good once and for five minutes; after a wrong code, it may be sent again with another.
    """
    challenge, code = body.challenge.get_secret_value(), body.code.get_secret_value()
    pair = await services.second_factor.sign_in(challenge, code, device)
    return token_response(pair, response, cookie_mode=cookie_mode)


@plain(router, second_factor)
async def plain_second_factor(request: PlainRequest) -> Tokens | None:
    body = await request.body(SecondFactorBody)
    if body is None:
        return None
    challenge, code = body.challenge.get_secret_value(), body.code.get_secret_value()
    return tokens_of(await request.services.second_factor.sign_in(challenge, code, request.device()))


@router.post(
    "/enrol", response_model=TotpSecret, responses=problems("invalid-second-factor", "database-unavailable", body=True)
)
async def begin_enrolment(body: ChallengeBody, services: ServicesDep) -> EnrolmentSecret:
    """Begin to add the factor that the account must have, with the challenge of `second-factor-enrolment-required`.

    Asking twice gives the same secret; nothing is stored before a code of it is confirmed.
    """
    return await services.login_enrolment.begin(body.challenge.get_secret_value())


@router.post(
    "/enrol/confirm",
    responses={200: SETS_COOKIE, **problems(*GIVING, "invalid-second-factor", "overloaded", body=True)},
)
async def confirm_enrolment(
    body: SecondFactorBody, device: DeviceDep, cookie_mode: CookieMode, services: ServicesDep, response: Response
) -> EnrolledTokens | EnrolledBrowserTokens:
    """Add the factor with a code of it, and open a session. The recovery codes are never told again."""
    challenge, code = body.challenge.get_secret_value(), body.code.get_secret_value()
    codes, pair = await services.login_enrolment.confirm(challenge, code, device)
    return enrolled(token_response(pair, response, cookie_mode=cookie_mode), codes)
