"""`/auth/me`: how owners see, change, export and delete their account."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from fastapi import APIRouter, Depends, status
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from auth_service.api.http.bodies.json_body import StrictJsonRoute
from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import DeviceDep, RecentBearer, ServicesDep, set_requester
from auth_service.api.routes.accounts import RECENT
from auth_service.api.schemas.accounts import Account
from auth_service.api.schemas.factors import factor_item
from auth_service.api.schemas.fields import secret_of
from auth_service.api.schemas.links import DelayedChange, PendingEmail
from auth_service.api.schemas.own_account import AccountExport, DeleteAccountBody, ExportedEvent, RenameBody
from auth_service.api.schemas.sessions import DeviceSession
from auth_service.models import AuditEvent, ChangeKind, User
from auth_service.services.accounts.own_account import Export

router = APIRouter(
    prefix="/auth/me", tags=["accounts"], route_class=StrictJsonRoute, dependencies=[Depends(set_requester)]
)

Item = TypeVar("Item")
ATTACHMENT = {"Content-Disposition": 'attachment; filename="account.json"'}


@router.patch("", response_model=Account, responses=problems(*RECENT, "account-exists", "too-many-attempts", body=True))
async def rename_account(body: RenameBody, bearer: RecentBearer, device: DeviceDep, services: ServicesDep) -> User:
    """Change the username, or remove it with `null`."""
    return await services.own_account.rename(bearer, body.username, device.ip)


@router.delete(
    "",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(
        *RECENT, "invalid-credentials", "last-admin", "too-many-attempts", "overloaded", "password-too-long", body=True
    ),
)
async def delete_account(bearer: RecentBearer, services: ServicesDep, body: DeleteAccountBody | None = None) -> None:
    """Delete the account with all its data. All sessions end, and the e-mail address becomes available again.

    A recent sign-in is the proof, and no body is needed. If `current_password` is given, it must be right.
    """
    await services.own_account.delete(bearer, secret_of(body.current_password) if body else None)


@router.get(
    "/export",
    response_model=AccountExport,
    responses={
        200: {"headers": {"Content-Disposition": {"description": "attachment", "schema": {"type": "string"}}}},
        **problems(*RECENT, "too-many-attempts"),
    },
)
async def export_account(bearer: RecentBearer, services: ServicesDep) -> StreamingResponse:
    """Export all data kept about the account: the account, its second factors, sessions and security events."""
    found = await services.own_account.export(bearer)
    return StreamingResponse(_document(found), media_type="application/json", headers=ATTACHMENT)


async def _document(found: Export) -> AsyncIterator[str]:
    """The document in pieces: there may be many events, and at most one page of anything is in memory."""
    head = AccountExport(
        exported_at=found.at,
        account=Account.model_validate(found.account),
        pending_email=PendingEmail.of(found.pending.get(ChangeKind.EMAIL)),
        pending_factors_reset=DelayedChange.of(found.pending.get(ChangeKind.FACTORS)),
        factors=[factor_item(factor) for factor in found.factors],
        recovery_codes_left=found.recovery_codes_left,
        sessions=[],
        events=[],
    )
    to_sessions, to_events, closing = head.model_dump_json().rsplit("]", 2)
    yield to_sessions
    async for piece in _listed(found.sessions, DeviceSession.model_validate):
        yield piece
    yield f"]{to_events}"
    async for piece in _listed(found.events, _exported):
        yield piece
    yield f"]{closing}"


async def _listed(pages: AsyncIterator[Sequence[Item]], schema: Callable[[Item], BaseModel]) -> AsyncIterator[str]:
    """The items of a JSON list, a page at a time."""
    separator = ""
    async for page in pages:
        if page:
            yield separator + ",".join(schema(item).model_dump_json() for item in page)
            separator = ","


def _exported(event: AuditEvent) -> ExportedEvent:
    """Of another actor only the kind is told: their id and address are not the owner's to see."""
    details = dict(event.details)
    by = str(details.pop("actor", "owner")).partition(":")[0]
    own = by == "owner"
    return ExportedEvent(
        at=event.at,
        event=event.event,
        by=by,
        session_id=event.session_id,
        ip=event.ip if own else None,
        user_agent=event.user_agent if own else None,
        details=details,
    )
