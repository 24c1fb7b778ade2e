"""Plugs the parts together for the web."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from auth_service import __version__, logs, telemetry
from auth_service.api.http import openapi, problems
from auth_service.api.http.html.pages import HtmlPages
from auth_service.api.http.middleware.cors import Cors
from auth_service.api.http.middleware.denials import Denials
from auth_service.api.http.middleware.error_boundary import ErrorBoundary
from auth_service.api.http.middleware.head import Head
from auth_service.api.http.middleware.limits import RequestLimits
from auth_service.api.http.middleware.options import Options
from auth_service.api.http.middleware.request_context import RequestContext
from auth_service.api.http.middleware.request_counts import RequestCounts
from auth_service.api.http.middleware.traces import Traces
from auth_service.api.http.plain_route import PlainFirst
from auth_service.api.http.problems.pages import ProblemPages
from auth_service.api.metrics.workers import Metrics
from auth_service.api.routes import (
    accounts,
    admin,
    factors,
    health,
    internal,
    link_pages,
    links,
    metrics,
    own_account,
    own_sessions,
    passkeys,
    second_factor,
    sessions,
    step_up,
    verify,
    well_known,
)
from auth_service.embedded_secret import with_secret
from auth_service.process import Process
from auth_service.settings import Settings, read_settings
from auth_service.shared_memory import Slot

# With OpenTelemetry's variables in the environment, the framework would export the messages of exceptions. `Traces`
# does it instead.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
# What the first answers do without: a thread imports it while they are given, so that they come sooner.
# Whoever needs one of them before it is here waits for it.
LATER = (
    "pydantic.v1",  # FastAPI looks for its models in the first route that it completes
    "auth_service.api.metrics.exposition",  # and with it prometheus_client
    "auth_service.security.passwords.hash_memory",  # and with it ctypes; for the first hash
    "apscheduler.schedulers.asyncio",  # the schedule begins after this
)
PUBLIC = (
    accounts,
    links,
    link_pages,
    own_account,
    factors,
    sessions,
    second_factor,
    passkeys,
    own_sessions,
    step_up,
    well_known,
)


def create_app(settings: Settings | None = None, slot: Slot | None = None) -> FastAPI:
    """Return the service, ready to be served; `slot` is where it tells other workers what it has counted.

    Raises:
        WrongSettingError: a setting cannot be used.
    """
    settings = with_secret(settings or read_settings())
    logs.configure(settings.log)
    exporting = telemetry.prepare()
    service = Process(settings, exporting, LATER)
    counts = RequestCounts()
    denials = Denials(settings.proxy)
    numbers = Metrics(service.services.gauges, counts, slot)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.lifespan(app), numbers.published():
            with closing(denials):
                yield

    app = FastAPI(
        title="auth-service",
        version=__version__,
        summary="Accounts, sessions and the keys that sign access tokens",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    app.state.services = service.services
    app.state.metrics = numbers
    app.state.html = html = HtmlPages(settings)
    app.state.link_pages = link_pages.LinkPages(settings, html)
    routes = [route for module in (*PUBLIC, health, internal, admin, metrics) for route in module.router.routes]
    # Not `include_router`: it would make each route, which is complete, once more at the first request.
    app.router.routes.extend(routes)
    openapi.install(app, routes, settings, more_paths=verify.describe)
    problems.install(app, settings.base_url, app.router.routes)
    app.add_middleware(PlainFirst, routes=routes, services=service.services)
    app.add_middleware(Head)
    app.add_middleware(Options, routes=app.router.routes)
    app.add_middleware(RequestLimits)
    app.add_middleware(ErrorBoundary, base_url=settings.base_url, denials=denials)
    app.add_middleware(ProblemPages, html=html)
    if settings.cors.origins:
        cookies = settings.cookies.enabled
        app.add_middleware(Cors, settings=settings.cors, base_url=settings.base_url, with_cookies=cookies)
    app.add_middleware(RequestContext, counts=counts, proxy=settings.proxy)
    app.add_middleware(verify.Verify, services=service.services, counts=counts, denials=denials)
    if exporting:
        app.add_middleware(Traces, proxy=settings.proxy)
    return app
