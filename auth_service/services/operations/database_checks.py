"""What an operator wants to know about the database, whoever works on it: the service or the clean-up alone."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from auth_service.database.schema import MigrationNeeded, SchemaState
from auth_service.errors import DatabaseUnavailable, MissingPrivileges
from auth_service.repositories.database import Database
from auth_service.repositories.privileges import (
    CLEANUP,
    SERVICE,
    find_gone,
    find_missing,
    is_of_tables_owner,
    needed_by,
    role_of,
)
from auth_service.repositories.probe import ROOM, Probe, try_disk
from auth_service.services.operations.surroundings import Check, of_servers
from auth_service.settings import DatabaseSettings

ALL = {SERVICE: "all that the service needs", CLEANUP: "all that the clean-up needs"}
OPTIONS = {SERVICE: "--role", CLEANUP: "--cleanup-role"}  # of `grants`, for roles of other names
GONE = "what the migrations have made is gone from the database, and only a backup brings it back"
LESS = "; the clean-up needs less: --for cleanup"
TOO_MUCH = ", and far more, as a superuser or the owner of the tables: {role} is the role for this"


class DatabaseChecks:
    """Looks at the database for the service or the clean-up, by the name of its role in `grants.sql`."""

    def __init__(self, settings: DatabaseSettings, database: Database, role: str) -> None:
        self._settings = settings
        self._database = database
        self._role = role

    async def reach(self) -> Check:
        await self._database.check()
        return Check("database", True, f"answers: {self._settings.described}")

    async def disk(self) -> Check:
        await try_disk(self._settings, self._database)
        return Check("disk", True, f"room for {ROOM // 2**20} MiB more")

    async def schema(self) -> Check:
        probe = Probe(self._settings, self._database)
        try:
            await probe.check()
        except MissingPrivileges as error:
            if not error.missing:  # not even of the version: the grants tell of what
                return Check("schema", False, error.detail)
        finally:
            await probe.close()
        state = await self._database.check_schema()
        async with self._database.statement() as tx:
            gone = await find_gone(tx.session, needed_by(SERVICE)) if state == SchemaState.AT_HEAD else []
        return Check("schema", not gone, f"{GONE}: {', '.join(gone)}" if gone else state)

    async def grants(self) -> Check:
        if not self._settings.is_postgresql:
            return Check("grants", True, "none with SQLite")
        async with self._database.statement() as tx:
            missing = await find_missing(tx.session, needed_by(self._role))
            may_do_all, name = await is_of_tables_owner(tx.session), await role_of(tx.session)
        if missing:
            return Check("grants", False, f"{MissingPrivileges.detail}{self._lacking(name, missing)}")
        too_much = TOO_MUCH.format(role=self._role) if may_do_all else ""
        return Check("grants", True, ALL[self._role] + too_much)

    def _lacking(self, name: str, missing: Sequence[str]) -> str:
        told = f" Missing for {name}: {', '.join(missing)}"
        if name not in OPTIONS:
            told += f"; to a role of another name: 'auth-service grants --apply {OPTIONS[self._role]} {name}'"
        return told + LESS if self._role == SERVICE else told


async def look(checks: Mapping[str, Callable[[], Awaitable[Check]]], *, migrates_on_start: bool) -> list[Check]:
    """Return these checks of the database, by name, up to the first that it does not let be made."""
    found: list[Check] = []
    for name, check in checks.items():
        try:
            found.append(await check())
        except DatabaseUnavailable as error:
            if migrates_on_start and isinstance(error, MigrationNeeded):
                return [*found, Check(name, True, "made or migrated when the service starts, which it has not yet")]
            return [*found, Check(name, False, error.detail)]
    return found


async def check_for_cleanup(settings: DatabaseSettings, database: Database) -> list[Check]:
    """Return every check of what the clean-up needs: it serves nobody, sends no mail, and reads no replica."""
    of = DatabaseChecks(settings, database, CLEANUP)
    checks = {"database": of.reach, "disk": of.disk, "schema": of.schema, "grants": of.grants}
    primary = settings.model_copy(update={"read_replica_url": None})
    ways = [Check("settings", True, "usable"), *of_servers(primary.servers)]
    return ways + await look(checks, migrates_on_start=False)
