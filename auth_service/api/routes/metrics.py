"""`/metrics`, for Prometheus: one scrape tells of all workers."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from auth_service.api.http.lazy_route import LazyRoute
from auth_service.api.http.openapi import problems
from auth_service.api.metrics.families import MEDIA_TYPE
from auth_service.api.metrics.workers import Metrics
from auth_service.api.requests.dependencies import set_requester
from auth_service.api.requests.internal_token import internal_only

router = APIRouter(tags=["operations"], route_class=LazyRoute, dependencies=[Depends(set_requester)])


@router.get(
    "/metrics",
    dependencies=[Depends(internal_only)],
    response_class=Response,
    responses={
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        **problems("invalid-internal-token"),
    },
)
async def read_metrics(request: Request) -> Response:
    """Metrics of requests, logins, refreshes, the hashing lane, the pool, keys, mail and clean-up, for Prometheus."""
    numbers: Metrics = request.app.state.metrics
    return Response(numbers.text(), media_type=MEDIA_TYPE)
