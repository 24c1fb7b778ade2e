"""One process: its parts are started and stopped with it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import structlog

from auth_service import __version__, logs
from auth_service.database.schema import SchemaState
from auth_service.errors import DatabaseUnavailable
from auth_service.parts import Parts
from auth_service.services.operations.surroundings import of_ways
from auth_service.settings import Settings
from auth_service.shutdown import delay_sigterm

if TYPE_CHECKING:
    from auth_service.telemetry.exporting import Exporting

log = structlog.get_logger()

STOP_SECONDS = 3.0  # as long as a statement can take
BEGIN_AFTER = 0.1  # seconds; until then the port is open, and whoever waits for that has an answer
RETRY_FASTEST, RETRY_SLOWEST = 0.25, 5.0  # seconds


class Process:
    """Its parts are made once; `services` are those that the routes call. `later` are modules to be imported while the
    first requests are served.
    """

    def __init__(self, settings: Settings, exporting: "Exporting | None" = None, later: Sequence[str] = ()) -> None:
        self._exporting = exporting
        self._later = later
        self._parts = Parts(settings)
        self.services = self._parts.services
        self._migration: ModuleType | None = None
        if settings.migrates_on_start:  # imported now, not when the database has come; without it Alembic is not needed
            from auth_service.services.operations import migration  # noqa: PLC0415

            self._migration = migration

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """Serve at once, also without a database: it may come later, and then we are ready by ourselves."""
        parts, upkeep = self._parts, self._parts.upkeep
        if self._exporting:
            self._exporting.start()
        # Meanwhile, on another core; what it raises ends the start.
        tried_out = asyncio.create_task(asyncio.to_thread(parts.hashing.passwords.try_out))
        is_prepared = await self._is_prepared()
        await tried_out
        tokens = parts.tokens
        following = {asyncio.create_task(part.follow()) for part in (tokens.revocations, tokens.keys)}
        if upkeep.dispatcher:
            following.add(asyncio.create_task(upkeep.dispatcher.follow()))
        parts.hashing.lane_size.tell(parts.settings.hashing)
        log.info("service.started", version=__version__)
        _warn_of_ways(parts.settings)
        beginning = asyncio.create_task(self._begin(is_prepared=is_prepared))
        try:
            with delay_sigterm(parts.settings.shutdown.drain, self._end_is_near):
                yield
        finally:
            upkeep.schedule.stop()
            tokens.revocations.stop()
            tokens.keys.stop()
            if upkeep.dispatcher:
                upkeep.dispatcher.stop()
            beginning.cancel()
            tasks = {*following, *upkeep.schedule.running, beginning}
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            await parts.throttle.close()
            await upkeep.health.close()
            parts.hashing.lane.close()
            await parts.database.dispose()
            if self._exporting:
                await self._exporting.stop()
            log.info("service.stopped")

    def _end_is_near(self) -> None:
        """Answer that we are not ready, and let the clean-up end: it is not for the requests that come till then."""
        self._parts.upkeep.health.end_is_near()
        self._parts.upkeep.schedule.end_is_near()

    async def _begin(self, *, is_prepared: bool) -> None:
        """Begin what works beside the requests, once it is imported and the database is there."""
        try:
            await asyncio.sleep(BEGIN_AFTER)
            for name in self._later:
                await self._import(name)
            if not is_prepared:
                await self._prepare()
            self._parts.upkeep.schedule.start()  # none of its jobs could do anything before
        except Exception:
            log.exception("service.not_begun")  # to serve without it in silence would be worse

    async def _import(self, name: str) -> None:
        try:
            await asyncio.to_thread(import_module, name)
        except Exception:
            log.exception("service.not_imported", module=name)  # what needs it fails; all else goes on

    async def _prepare(self) -> None:
        pause, ready = RETRY_FASTEST, False
        while not ready:
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_SLOWEST)
            try:
                ready = await self._is_prepared()
            except Exception:
                log.exception("service.not_prepared")  # to give up in silence would be worse
        log.info("service.ready")

    async def _is_prepared(self) -> bool:
        """Check database and schema, migrate if that is ours to do, and have a signing key; False if that cannot be."""
        try:
            await self._parts.database.check()
            if self._migration:
                await self._migration.migrate(self._parts.database)
            if await self._parts.database.check_schema() is SchemaState.NEWER:
                log.info("schema.newer", hint="a later version has migrated it; it still serves this one")
            await self._parts.tokens.keys.published()
            await self._parts.tokens.revocations.read()
        except DatabaseUnavailable as error:
            log.warning("service.not_ready", code=error.code, detail=error.detail, caused_by=logs.causes_of(error))
            return False
        return True


def _warn_of_ways(settings: Settings) -> None:
    """Tell of what makes a way to another machine less safe, or of another kind, than somebody expects."""
    for way in of_ways(settings):
        if not way.ok:
            log.warning("service.unencrypted", what=way.name, hint=way.detail)
    for setting, server in settings.database.servers.items():
        if server.ignored:
            log.warning("database.options_ignored", setting=setting, options=server.ignored)
