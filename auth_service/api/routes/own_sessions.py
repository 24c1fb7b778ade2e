"""`/auth/sessions`: how owners see and end the sessions of their devices."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, status

from auth_service.api.http import cursors
from auth_service.api.http.bodies.json_body import StrictJsonRoute
from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import BearerDep, RecentBearer, ServicesDep, set_requester
from auth_service.api.routes.accounts import BEARER, RECENT
from auth_service.api.schemas.sessions import EndSessionsQuery, SessionItem, SessionList, SessionsQuery
from auth_service.models import Slice
from auth_service.services.sessions.bearers import Bearer

router = APIRouter(
    prefix="/auth/sessions", tags=["sessions"], route_class=StrictJsonRoute, dependencies=[Depends(set_requester)]
)

Wanted = Annotated[SessionsQuery, Query()]


def slice_of(wanted: SessionsQuery) -> Slice:
    return Slice(wanted.limit, cursors.read(wanted.cursor) if wanted.cursor is not None else None)


async def get_bearer_to_end(session_id: UUID, bearer: BearerDep, services: ServicesDep) -> Bearer:
    """Whoever ends another session signed in recently; to end one's own is a logout, for which any token is good."""
    if session_id != bearer.session_id:
        services.bearers.ensure_recent(bearer)
    return bearer


BearerToEnd = Annotated[Bearer, Depends(get_bearer_to_end)]


@router.get("", responses=problems(*BEARER, "validation-error"))
async def list_sessions(bearer: BearerDep, services: ServicesDep, wanted: Wanted) -> SessionList:
    """List the bearer's sessions, newest first, page by page."""
    page = await services.own_sessions.list_page(bearer, slice_of(wanted), ended_too=wanted.ended)
    items = [SessionItem.model_validate(session) for session in page.items]
    return SessionList(items=items, next_cursor=cursors.of_next(page))


@router.delete("", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*RECENT, "validation-error"))
async def end_other_sessions(
    bearer: RecentBearer, services: ServicesDep, wanted: Annotated[EndSessionsQuery, Query()]
) -> None:
    """End all other sessions of the bearer, and with `?current=true` this one too."""
    await services.own_sessions.end_all(bearer, current_too=wanted.current)


@router.delete(
    "/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*RECENT, "not-found", "validation-error"),
)
async def end_session(session_id: UUID, bearer: BearerToEnd, services: ServicesDep) -> None:
    """End one session of the bearer. Another user's session is answered like one that never existed.

    For the session of the access token itself, the sign-in need not be recent.
    """
    await services.own_sessions.end_one(bearer, session_id)
