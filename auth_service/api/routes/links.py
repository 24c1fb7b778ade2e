"""`/auth/verify-email`, `/auth/forgot-password`, `/auth/reset-password`, `/auth/me/email`, `/auth/confirm-email`,
`/auth/email/keep`, `/auth/factors/keep`.

A link is used by a POST with its token in the body, so a GET by a scanner or a preview does not use it up.
"""

from typing import Any

from fastapi import APIRouter, Depends, status

from auth_service.api.http.bodies.json_body import StrictJsonRoute
from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import (
    BearerDep,
    BearerIfAny,
    DeviceDep,
    RecentBearer,
    ServicesDep,
    set_requester,
)
from auth_service.api.routes.accounts import BEARER, PASSWORD, RECENT
from auth_service.api.schemas.accounts import Accepted
from auth_service.api.schemas.fields import secret_of
from auth_service.api.schemas.links import (
    ChangeEmailBody,
    ConfirmEmailBody,
    EmailBody,
    EmailChangeState,
    LinkBody,
    PendingEmail,
    ResetPasswordBody,
    VerifyEmailBody,
)
from auth_service.models import MailKind, PendingChange, StopReason

ASKING = ("too-many-attempts", "mail-not-configured", "database-unavailable")
USING = ("invalid-link", "database-unavailable")
PROVING = (*BEARER, *USING, "password-required", "invalid-credentials", "too-many-attempts", "overloaded")
PERHAPS_A_BEARER: dict[str, Any] = {"security": [{}, {"access_token": []}]}

router = APIRouter(prefix="/auth", tags=["links"], route_class=StrictJsonRoute, dependencies=[Depends(set_requester)])


@router.post(
    "/verify-email",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*PROVING, *PASSWORD, body=True),
    openapi_extra=PERHAPS_A_BEARER,
)
async def verify_email(body: VerifyEmailBody, bearer: BearerIfAny, device: DeviceDep, services: ServicesDep) -> None:
    """Verify the e-mail address of an account with the link from a verification e-mail.

    The link alone is not enough: it takes an access token of the account, its `password`, or a `new_password`, which
    ends all sessions. None is opened.
    """
    token = body.token.get_secret_value()
    if body.new_password is not None:
        await services.recovery.take_over(token, body.new_password.get_secret_value(), device.ip)
    else:
        await services.recovery.verify_email(token, bearer, secret_of(body.password))


@router.post("/verify-email/resend", status_code=status.HTTP_202_ACCEPTED, responses=problems(*ASKING, body=True))
async def resend_verification(body: EmailBody, device: DeviceDep, services: ServicesDep) -> Accepted:
    """Request another verification e-mail. An unknown address gets the same answer after the same time."""
    await services.recovery.ask(MailKind.VERIFY_EMAIL, body.email, device.ip)
    return Accepted()


@router.post("/forgot-password", status_code=status.HTTP_202_ACCEPTED, responses=problems(*ASKING, body=True))
async def request_password_reset(body: EmailBody, device: DeviceDep, services: ServicesDep) -> Accepted:
    """Request an e-mail to set a new password. An unknown address gets the same answer after the same time."""
    await services.recovery.ask(MailKind.RESET_PASSWORD, body.email, device.ip)
    return Accepted()


@router.post(
    "/reset-password",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*USING, *PASSWORD, "overloaded", body=True),
)
async def reset_password(body: ResetPasswordBody, device: DeviceDep, services: ServicesDep) -> None:
    """Set a new password with the link from an e-mail. All sessions of the account end, and none is opened."""
    token, new = body.token.get_secret_value(), body.new_password.get_secret_value()
    await services.recovery.reset_password(token, new, device.ip)


@router.post(
    "/me/email",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(
        *RECENT, *ASKING, "invalid-credentials", "account-exists", "overloaded", "password-too-long", body=True
    ),
)
async def change_email(
    body: ChangeEmailBody, bearer: RecentBearer, device: DeviceDep, services: ServicesDep
) -> Accepted:
    """Request a change of the e-mail address. It takes effect when the links sent to both addresses have been used.

    An account whose address was never verified needs only the link sent to the new one.
    """
    current = secret_of(body.current_password)
    await services.email_change.ask(bearer, body.new_email, current, device.ip)
    return Accepted()


@router.post(
    "/confirm-email",
    responses=problems(*PROVING, "account-exists", "password-too-long", body=True),
    openapi_extra=PERHAPS_A_BEARER,
)
async def confirm_email(body: ConfirmEmailBody, bearer: BearerIfAny, services: ServicesDep) -> EmailChangeState:
    """Use one of the two links of an e-mail change; the second one changes the address.

    The link sent to the new address also takes an access token of the account, or its `password`.
    """
    changed = await services.email_change.confirm(body.token.get_secret_value(), bearer, secret_of(body.password))
    return EmailChangeState(status="changed" if changed else "waiting")


@router.get("/me/email/change", response_model=PendingEmail, responses=problems(*BEARER, "not-found"))
async def show_email_change(bearer: BearerDep, services: ServicesDep) -> PendingChange:
    """Return the e-mail address that an administrator has requested for the account, until the change takes effect."""
    return await services.delayed_email_change.find(bearer.user_id)


@router.delete("/me/email/change", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*BEARER, "not-found"))
async def stop_email_change(bearer: BearerDep, services: ServicesDep) -> None:
    """Stop the change of the e-mail address that an administrator has requested."""
    await services.delayed_email_change.stop(bearer.user_id, StopReason.SESSION)


@router.post("/email/keep", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*USING, body=True))
async def keep_email(body: LinkBody, services: ServicesDep) -> None:
    """Stop such a change with the link sent to the current address."""
    await services.delayed_email_change.keep(body.token.get_secret_value())


@router.post("/factors/keep", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*USING, body=True))
async def keep_factors(body: LinkBody, services: ServicesDep) -> None:
    """Stop a reset of the second factors that an administrator has requested, with the link of the e-mail."""
    await services.factor_reset.keep(body.token.get_secret_value())
