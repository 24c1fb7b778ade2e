"""`/auth/login/second-factor` and `/auth/login/enrol`: the second step of a login."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from auth_service.api.http.openapi import problems
from auth_service.api.http.plain_route import PlainRequest, PlainRoute, plain
from auth_service.api.requests.cookies import SETS_COOKIE, CookieMode, token_response, tokens_of
from auth_service.api.requests.dependencies import DeviceDep, ServicesDep, set_requester
from auth_service.api.routes.sessions import GIVING
from auth_service.api.schemas.factors import (
    ChallengeBody,
    EnrolledTokens,
    TotpSecret,
    enrolled,
)
from auth_service.api.schemas.second_factor import ConfirmEnrolmentBody, PasskeyAsked, SecondFactorBody
from auth_service.api.schemas.sessions import Tokens
from auth_service.models import Device
from auth_service.services.factors.login_factors import PasskeyRequest
from auth_service.services.services import Services
from auth_service.services.sessions.token_issuer import TokenPair

router = APIRouter(
    prefix="/auth/login", tags=["factors"], route_class=PlainRoute, dependencies=[Depends(set_requester)]
)


@router.post(
    "/second-factor",
    responses={
        200: SETS_COOKIE,
        **problems(*GIVING, "invalid-second-factor", "second-factor-enrolment-required", "overloaded", body=True),
    },
)
async def complete_login(
    body: SecondFactorBody, device: DeviceDep, cookie_mode: CookieMode, services: ServicesDep, response: Response
) -> Tokens:
    """Open a session with the challenge that a right password was answered with, and a code or a passkey.

    Exactly one of `code` and `credential`. The code is one of the authenticator app, which is good once and for about a
    minute, or a recovery code. The credential is what the browser returns for `public_key`. The challenge is good once
    and for five minutes; after a wrong code, it may be sent again with another.
    """
    return token_response(await _sign_in(body, device, services), response, cookie_mode=cookie_mode)


@plain(router, complete_login)
async def plain_complete_login(request: PlainRequest) -> Tokens | None:
    body = await request.body(SecondFactorBody)
    return tokens_of(await _sign_in(body, request.device(), request.services)) if body is not None else None


async def _sign_in(body: SecondFactorBody, device: Device, services: Services) -> TokenPair:
    challenge = body.challenge.get_secret_value()
    if body.credential is not None:
        return await services.second_factor.sign_in_by_passkey(body.credential.assertion(challenge), device)
    return await services.second_factor.sign_in(challenge, body.code.get_secret_value() if body.code else "", device)


@router.post("/enrol", responses=problems("invalid-second-factor", "database-unavailable", body=True))
async def begin_enrolment(body: ChallengeBody, services: ServicesDep) -> TotpSecret | PasskeyAsked:
    """Begin to add the factor that the account must have, with the challenge of `second-factor-enrolment-required`.

    That is an authenticator app, or a passkey where the role must have one. Asking twice gives the same; nothing is
    stored before it is confirmed.
    """
    asked = await services.login_enrolment.begin(body.challenge.get_secret_value())
    if isinstance(asked, PasskeyRequest):
        return PasskeyAsked.model_validate(asked)
    return TotpSecret.model_validate(asked)


@router.post(
    "/enrol/confirm",
    responses={200: SETS_COOKIE, **problems(*GIVING, "invalid-second-factor", "overloaded", body=True)},
)
async def confirm_enrolment(
    body: ConfirmEnrolmentBody, device: DeviceDep, cookie_mode: CookieMode, services: ServicesDep, response: Response
) -> EnrolledTokens:
    """Add the factor with a code of it, or with the passkey that the browser made, and open a session.

    Exactly one of `code` and `credential`. The recovery codes are never told again; there are none if the account has
    some from before.
    """
    challenge, enrolment = body.challenge.get_secret_value(), services.login_enrolment
    if body.credential is not None:
        codes, pair = await enrolment.confirm_passkey(body.credential.attestation(challenge), body.name, device)
    else:
        codes, pair = await enrolment.confirm(challenge, body.code.get_secret_value() if body.code else "", device)
    return enrolled(token_response(pair, response, cookie_mode=cookie_mode), codes)
