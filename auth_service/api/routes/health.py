"""`/health/live`, `/health/ready` and `/health/db`."""

from fastapi import APIRouter, Depends

from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import ServicesDep, set_requester
from auth_service.api.schemas.common import Health, Readiness

router = APIRouter(prefix="/health", tags=["health"], dependencies=[Depends(set_requester)])

NOT_READY = problems(
    "database-unavailable", "schema-not-ready", "database-read-only", "database-disk-full", "shutting-down"
)


@router.get("/live", responses=problems())
async def live() -> Health:
    """The process is running. Never asks the database: its outage is no reason to restart every replica."""
    return Health()


@router.get("/ready", responses=NOT_READY)
async def ready(services: ServicesDep) -> Readiness:
    """The service can serve requests: the database accepts writes, and its schema and grants fit. Answers in a second.

    `revocations` is `stale` while revocations are out of date, and every access token is checked in the database.
    """
    await services.health.check()
    return Readiness(revocations="stale" if services.revocations.is_stale else "fresh")


@router.get("/db", responses=NOT_READY)
async def database(services: ServicesDep) -> Health:
    """The same check as `/health/ready`, under another name."""
    await services.health.check()
    return Health()
