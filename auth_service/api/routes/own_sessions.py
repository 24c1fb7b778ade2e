"""`/auth/sessions`: how owners see and end the sessions of their devices."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, status

from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import BearerDep, ServicesDep, set_requester
from auth_service.api.routes.accounts import BEARER
from auth_service.api.schemas.common import SessionList
from auth_service.models import SessionView

router = APIRouter(prefix="/auth/sessions", tags=["sessions"], dependencies=[Depends(set_requester)])

EndedToo = Annotated[bool, Query(alias="ended", description="Include ended sessions, with the reason, while kept")]
CurrentToo = Annotated[bool, Query(alias="current", description="End the session of this request too")]


@router.get("", response_model=SessionList, responses=problems(*BEARER, "validation-error"))
async def list_sessions(
    bearer: BearerDep, services: ServicesDep, ended_too: EndedToo = False
) -> dict[str, Sequence[SessionView]]:
    """List the bearer's sessions, newest first."""
    return {"items": await services.own_sessions.list_all(bearer, ended_too=ended_too)}


@router.delete("", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*BEARER, "validation-error"))
async def end_sessions(bearer: BearerDep, services: ServicesDep, current_too: CurrentToo = False) -> None:
    """End all other sessions of the bearer, and with `?current=true` this one too."""
    await services.own_sessions.end_all(bearer, current_too=current_too)


@router.delete(
    "/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*BEARER, "not-found", "validation-error"),
)
async def end_session(session_id: UUID, bearer: BearerDep, services: ServicesDep) -> None:
    """End one session of the bearer. Another user's session is answered like one that never existed."""
    await services.own_sessions.end_one(bearer, session_id)
