"""`/auth/step-up`: whoever holds a session proves again who it is."""

from fastapi import APIRouter, Depends

from auth_service.api.http.bodies.json_body import StrictJsonRoute
from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import BearerDep, ServicesDep, set_requester
from auth_service.api.routes.accounts import BEARER
from auth_service.api.routes.passkeys import PasskeysDep
from auth_service.api.schemas.passkeys import PasskeyChallenge
from auth_service.api.schemas.step_up import SteppedUpToken, StepUpBody
from auth_service.errors import InvalidSecondFactor
from auth_service.services.factors.passkey_login import PasskeyOptions

router = APIRouter(
    prefix="/auth", tags=["sessions"], route_class=StrictJsonRoute, dependencies=[Depends(set_requester)]
)


@router.post("/step-up/options", response_model=PasskeyChallenge, responses=problems(*BEARER, "not-found"))
async def begin_step_up(bearer: BearerDep, passkeys: PasskeysDep) -> PasskeyOptions:
    """Begin a step-up with a passkey of the account. The challenge is good once and for five minutes."""
    return await passkeys.step_up.options(bearer)


@router.post(
    "/step-up",
    responses=problems(
        *BEARER, "invalid-credentials", "invalid-second-factor", "too-many-attempts", "overloaded", "unavailable",
        "password-too-long",
        body=True,
    ),
)  # fmt: skip
async def step_up(body: StepUpBody, bearer: BearerDep, services: ServicesDep) -> SteppedUpToken:
    """Prove again who you are, and get an access token that says so (`auth_time`, `acr`, `amr`; RFC 9470).

    Exactly one of `password`, `code`, and `challenge` with `credential`; an account with a second factor needs a code
    or a passkey. The session and its refresh token stay as they are, so what a refresh returns tells of the sign-in as
    before.
    """
    if body.challenge and body.credential:
        if services.passkeys is None:
            raise InvalidSecondFactor
        assertion = body.credential.assertion(body.challenge.get_secret_value())
        proved = await services.passkeys.step_up.prove(bearer, assertion)
        return SteppedUpToken(access_token=proved.token, expires_in=proved.expires_in)
    password, code = (given.get_secret_value() if given else None for given in (body.password, body.code))
    issued = await services.step_up.prove(bearer, password, code)
    return SteppedUpToken(access_token=issued.token, expires_in=issued.expires_in)
