"""`/health/live`, `/health/ready` and `/health/db`."""

from typing import Annotated

from fastapi import APIRouter, Depends

from auth_service import __version__
from auth_service.api.http.lazy_route import LazyRoute
from auth_service.api.http.openapi import problems
from auth_service.api.requests.dependencies import ServicesDep, set_requester
from auth_service.api.requests.internal_token import has_internal_token
from auth_service.api.schemas.health import Health, Liveness, Readiness

router = APIRouter(prefix="/health", tags=["health"], route_class=LazyRoute, dependencies=[Depends(set_requester)])

NOT_READY = problems(
    "database-unavailable", "schema-not-ready", "database-read-only", "database-disk-full", "shutting-down"
)


@router.get("/live", responses=problems(), openapi_extra={"security": [{}, {"internal_token": []}]})
async def check_liveness(*, has_token: Annotated[bool, Depends(has_internal_token)]) -> Liveness:
    """The process is running. Never asks the database: its outage is no reason to restart every replica.

    Callers with the internal token also learn which version runs.
    """
    return Liveness(version=__version__ if has_token else None)


@router.get("/ready", responses=NOT_READY)
async def check_readiness(services: ServicesDep) -> Readiness:
    """The service can serve requests: the database accepts writes, and its schema and grants fit. Answers in a second.

    `schema` is `newer, compatible` after a migration of a later version that still serves this one. `revocations` is
    `stale` while revocations are out of date, and every access token is checked in the database. `clock` is `apart`
    while this machine's clock and the database's differ by more than the leeway; `detail` says by how much. Tokens are
    judged by the database's clock, so nobody is refused for it. `detail` also says if a write met a full disk in the
    last minute.
    """
    state, clock = await services.health.check(), services.clock
    is_apart = f"The database's clock is {clock.offset:+.1f} s from this machine's; set it right."
    amiss = [services.health.warning, is_apart if clock.is_apart else None]
    return Readiness(
        schema_state=state,
        revocations="stale" if services.revocations.is_stale else "fresh",
        clock="apart" if clock.is_apart else "together",
        detail=" ".join(filter(None, amiss)) or None,
    )


@router.get("/db", responses=NOT_READY)
async def check_database(services: ServicesDep) -> Health:
    """The same check as `/health/ready`, under another name."""
    await services.health.check()
    return Health()
