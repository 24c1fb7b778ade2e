"""`/health/live`, `/health/ready` and `/health/db`."""

from fastapi import APIRouter, Depends

from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import ServicesDep, set_requester
from auth_service.api.schemas.common import Health, Readiness

router = APIRouter(prefix="/health", tags=["health"], dependencies=[Depends(set_requester)])

NOT_READY = problems("database-unavailable", "schema-not-ready", "database-read-only", "shutting-down")


@router.get("/live", responses=problems())
async def live() -> Health:
    """The process runs. Never touches the database: a dead database is no reason to restart every replica."""
    return Health()


@router.get("/ready", responses=NOT_READY)
async def ready(services: ServicesDep) -> Readiness:
    """Requests can be served: the database takes writes, and its schema is at head. Answers within a second.

    `revocations` is `stale` while every access token is checked in the database, for want of news about ended sessions.
    """
    await services.health.check()
    return Readiness(revocations="stale" if services.revocations.is_stale else "fresh")


@router.get("/db", responses=NOT_READY)
async def database(services: ServicesDep) -> Health:
    """The same question about the database, for those who ask for it under this name."""
    await services.health.check()
    return Health()
