"""`/auth/me/factors`, `/auth/me/totp` and `/auth/me/recovery-codes`: how owners look after their second factors."""

from uuid import UUID

from fastapi import APIRouter, Depends, status
from starlette.responses import Response

from auth_service.api.http.bodies.json_body import StrictJsonRoute
from auth_service.api.http.openapi import problems
from auth_service.api.requests.cookies import SETS_COOKIE, CookieMode, token_response
from auth_service.api.requests.dependencies import BearerDep, DeviceDep, RecentBearer, ServicesDep, set_requester
from auth_service.api.routes.accounts import BEARER, RECENT
from auth_service.api.schemas.factors import (
    CodeBody,
    EnrolledTokens,
    FactorList,
    NewTotpFactor,
    RecoveryCodeList,
    accepted_credentials,
    enrolled,
    factor_item,
)
from auth_service.api.schemas.links import DelayedChange
from auth_service.models import PendingChange, StopReason
from auth_service.services.factors.enrolment import NewTotp

router = APIRouter(
    prefix="/auth/me", tags=["factors"], route_class=StrictJsonRoute, dependencies=[Depends(set_requester)]
)


@router.get("/factors", responses=problems(*BEARER))
async def list_factors(bearer: BearerDep, services: ServicesDep) -> FactorList:
    """List the second factors of the account, and tell how many recovery codes are left."""
    factors, left = await services.own_factors.list_factors(bearer)
    items = [factor_item(factor) for factor in factors]
    accepted = accepted_credentials(services.settings.passkeys.rp_id, factors)
    return FactorList(items=items, recovery_codes_left=left, accepted_credentials=accepted)


@router.get("/factors/reset", response_model=DelayedChange, responses=problems(*BEARER, "not-found"))
async def show_factor_reset(bearer: BearerDep, services: ServicesDep) -> PendingChange:
    """Return when the second factors are removed as an administrator has requested, unless that is stopped."""
    return await services.factor_reset.find(bearer.user_id)


@router.delete("/factors/reset", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*BEARER, "not-found"))
async def stop_factor_reset(bearer: BearerDep, services: ServicesDep) -> None:
    """Stop the reset of the second factors that an administrator has requested."""
    await services.factor_reset.stop(bearer.user_id, StopReason.SESSION)


@router.delete(
    "/factors/{factor_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*RECENT, "not-found", "last-credential", "too-many-attempts", "validation-error"),
)
async def remove_factor(factor_id: UUID, bearer: RecentBearer, services: ServicesDep) -> None:
    """Remove a second factor. With the last one go the recovery codes, and the password alone signs in again."""
    await services.own_factors.remove(bearer, factor_id)


@router.post(
    "/totp",
    status_code=status.HTTP_201_CREATED,
    response_model=NewTotpFactor,
    responses=problems(*RECENT, "too-many-attempts"),
)
async def begin_totp(bearer: RecentBearer, services: ServicesDep) -> NewTotp:
    """Begin to add an authenticator app. It counts once a code of it is confirmed, within ten minutes."""
    return await services.enrolment.begin_totp(bearer)


@router.post(
    "/totp/{factor_id}/confirm",
    responses={
        200: SETS_COOKIE,
        **problems(
            *BEARER, "not-found", "invalid-second-factor", "too-many-attempts", "cross-site-request", "unavailable",
            body=True,
        ),
    },
)  # fmt: skip
async def confirm_totp(
    factor_id: UUID,
    body: CodeBody,
    bearer: BearerDep,
    *,
    device: DeviceDep,
    cookie_mode: CookieMode,
    services: ServicesDep,
    response: Response,
) -> EnrolledTokens | RecoveryCodeList:
    """Confirm the app with a code of it. It replaces the app from before.

    For the first factor of the account the answer has ten recovery codes, which are never told again, and the tokens of
    a new session: every earlier session has ended, this one too. For another factor, the earlier codes stay good, and
    `recovery_codes` is empty unless all were used up.
    """
    codes, pair = await services.enrolment.confirm_totp(bearer, factor_id, body.code.get_secret_value(), device)
    if pair is None:
        return RecoveryCodeList(recovery_codes=list(codes))
    return enrolled(token_response(pair, response, cookie_mode=cookie_mode), codes)


@router.post("/recovery-codes", responses=problems(*RECENT, "not-found", "too-many-attempts"))
async def renew_recovery_codes(bearer: RecentBearer, services: ServicesDep) -> RecoveryCodeList:
    """Make ten new recovery codes, which are never told again. The earlier ones no longer work."""
    return RecoveryCodeList(recovery_codes=list(await services.own_factors.renew_recovery_codes(bearer)))
