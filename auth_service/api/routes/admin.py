"""`/admin/users`: administrators manage other users' accounts. Internal, like `/internal`."""

import math
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, status
from starlette.requests import Request

from auth_service.api.http import cursors
from auth_service.api.http.bodies.json_body import StrictJsonRoute
from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import ServicesDep, get_access_token, set_requester
from auth_service.api.routes.accounts import BEARER
from auth_service.api.routes.own_sessions import Wanted, slice_of
from auth_service.api.schemas.accounts import Accepted, Account
from auth_service.api.schemas.admin import (
    AccountWithSessions,
    ChangeRoleBody,
    CreateUserBody,
    DelayedEmailBody,
    EndedSessions,
    ManagedSession,
    UserCounts,
    UserList,
    UserQuery,
)
from auth_service.api.schemas.factors import FactorItem
from auth_service.api.schemas.links import DelayedChange, PendingEmail
from auth_service.models import REQUESTER, ChangeKind, StopReason, User
from auth_service.repositories.users.search import UserFilter
from auth_service.services.administration.directory import UserPage

ADMIN = (*BEARER, "insufficient-role", "validation-error")
ONE = (*ADMIN, "not-found")
WRITING = (*ONE, "step-up-required")
DELAYED = (*WRITING, "own-account", "account-disabled", "too-many-attempts", "mail-not-configured")
READS = {"GET", "HEAD"}


async def require_admin(
    request: Request,
    token: Annotated[str, Depends(get_access_token)],
    services: ServicesDep,
    _: Annotated[None, Depends(set_requester)],
) -> UUID:
    """Admit administrators only, to changes those who signed in recently; record in the security trail who it was."""
    bearer = await services.bearers.identify_admin(token)
    if request.method not in READS:
        services.bearers.ensure_recent(bearer)
    REQUESTER.set(REQUESTER.get()._replace(actor=f"admin:{bearer.user_id}"))
    return bearer.user_id


AdminId = Annotated[UUID, Depends(require_admin)]
router = APIRouter(
    prefix="/admin/users",
    tags=["administration"],
    route_class=StrictJsonRoute,
    dependencies=[Depends(set_requester), Depends(require_admin)],
)


@router.get("", responses=problems(*ADMIN))
async def list_users(query: Annotated[UserQuery, Query()], services: ServicesDep) -> UserList:
    """List or search users, newest first: by page number, or from a cursor, which costs the same at any depth."""
    wanted = UserFilter(
        query.q, query.name, query.role, query.is_active, query.is_verified, query.created_from, query.created_to
    )
    if query.cursor is not None:
        found = await services.directory.go_on(wanted, cursors.read(query.cursor), query.per_page)
        return _list(found, None, query.per_page)
    number = query.page or 1
    return _list(await services.directory.page(wanted, number, query.per_page), number, query.per_page)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=Account,
    responses=problems(*ADMIN, "step-up-required", "account-exists", "mail-not-configured", body=True),
)
async def create_user(body: CreateUserBody, services: ServicesDep) -> User:
    """Create an account without a password, and invite its owner by e-mail to choose one."""
    return await services.administration.create(body.email, body.username, body.role)


@router.get("/counts", responses=problems(*ADMIN))
async def count_users(services: ServicesDep) -> UserCounts:
    """Count users. Recently seen means signed in within the maximum lifetime of a session."""
    counts = await services.directory.counts()
    numbers = {name: count.number for name, count in counts.items()}
    return UserCounts(**numbers, estimated=[name for name, count in counts.items() if count.is_estimate])


@router.get("/{user_id:uuid}", responses=problems(*ONE))
async def show_user(user_id: UUID, services: ServicesDep, wanted: Wanted) -> AccountWithSessions:
    """Return a user with their second factors, and their sessions, newest first, page by page."""
    found = await services.directory.show(user_id, slice_of(wanted), ended_too=wanted.ended)
    page, pending = found.sessions, found.pending
    return AccountWithSessions(
        **Account.model_validate(found.user).model_dump(),
        pending_email=PendingEmail.of(pending.get(ChangeKind.EMAIL)),
        pending_factors_reset=DelayedChange.of(pending.get(ChangeKind.FACTORS)),
        factors=[FactorItem.model_validate(factor) for factor in found.factors],
        sessions=[ManagedSession.model_validate(session) for session in page.items],
        next_cursor=cursors.of_next(page),
    )


@router.patch("/{user_id:uuid}", response_model=Account, responses=problems(*WRITING, "last-admin", body=True))
async def change_user_role(user_id: UUID, body: ChangeRoleBody, services: ServicesDep) -> User:
    """Change the role of a user. Their sessions end, because access tokens carry the role."""
    return await services.administration.set_role(user_id, body.role)


@router.delete("/{user_id:uuid}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*WRITING, "last-admin"))
async def delete_user(user_id: UUID, services: ServicesDep) -> None:
    """Delete a user with all data of the account; the security trail is kept."""
    await services.administration.delete(user_id)


@router.post("/{user_id:uuid}/disable", response_model=Account, responses=problems(*WRITING, "last-admin"))
async def disable_user(user_id: UUID, services: ServicesDep) -> User:
    """Stop a user from signing in. Their sessions end for good."""
    return await services.administration.set_active(user_id, active=False)


@router.post("/{user_id:uuid}/enable", response_model=Account, responses=problems(*WRITING))
async def enable_user(user_id: UUID, services: ServicesDep) -> User:
    """Allow a disabled user to sign in again."""
    return await services.administration.set_active(user_id, active=True)


@router.post("/{user_id:uuid}/end-sessions", responses=problems(*WRITING))
async def end_user_sessions(user_id: UUID, services: ServicesDep) -> EndedSessions:
    """End all sessions of a user. The user may sign in again."""
    return EndedSessions(ended=await services.administration.end_sessions(user_id))


@router.post(
    "/{user_id:uuid}/reset-password",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(*WRITING, "mail-not-configured"),
)
async def reset_user_password(user_id: UUID, services: ServicesDep) -> Accepted:
    """Send a user a link to choose a new password. Only the user sees it, and nothing changes until it is used."""
    await services.administration.start_reset(user_id)
    return Accepted()


@router.post(
    "/{user_id:uuid}/email",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(*DELAYED, "account-exists", body=True),
)
async def change_user_email(
    user_id: UUID, body: DelayedEmailBody, admin_id: AdminId, services: ServicesDep
) -> DelayedChange:
    """Change the e-mail address of a user who lost the mailbox, after a delay in which the user can stop it.

    Both addresses are notified. A new request replaces the pending one, and its delay starts anew. When the change
    takes effect, the new address is not verified, and all sessions and links of the user end.
    """
    effective_at = await services.delayed_email_change.ask(user_id, body.email, admin_id)
    return DelayedChange(effective_at=effective_at)


@router.delete("/{user_id:uuid}/email", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*WRITING))
async def stop_user_email_change(user_id: UUID, services: ServicesDep) -> None:
    """Stop the pending change of a user's e-mail address."""
    await services.delayed_email_change.stop(user_id, StopReason.ADMINISTRATOR)


@router.post("/{user_id:uuid}/factors/reset", status_code=status.HTTP_202_ACCEPTED, responses=problems(*DELAYED))
async def reset_user_factors(user_id: UUID, admin_id: AdminId, services: ServicesDep) -> DelayedChange:
    """Remove the second factors of a user who lost them, after a delay in which the user can stop it.

    The user is notified, and a sign-in with a second factor stops it as well. A new request replaces the pending one,
    and its delay starts anew. When it takes effect, the recovery codes are gone too, and all sessions of the user end.
    """
    return DelayedChange(effective_at=await services.factor_reset.ask(user_id, admin_id))


@router.delete("/{user_id:uuid}/factors/reset", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*WRITING))
async def stop_user_factor_reset(user_id: UUID, services: ServicesDep) -> None:
    """Stop the pending reset of a user's second factors."""
    await services.factor_reset.stop(user_id, StopReason.ADMINISTRATOR)


def _list(page: UserPage, number: int | None, size: int) -> UserList:
    total, last = page.total, page.users[-1] if page.users else None
    return UserList(
        items=[Account.model_validate(user) for user in page.users],
        total=total.number if total else None,
        total_is_estimate=total.is_estimate if total else False,
        page=number,
        per_page=size,
        pages=math.ceil(total.number / size) if total else None,
        next_cursor=cursors.write((last.created_at, last.id)) if last and not page.is_last else None,
    )
