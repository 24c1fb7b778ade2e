"""What an operator wants to know about a deployment, each as one line that is in order or not."""

from datetime import UTC, datetime, timedelta

from auth_service.logs import escaped
from auth_service.models import FactorPolicy, KeyState, Role
from auth_service.repositories.database import Database
from auth_service.repositories.privileges import SERVICE
from auth_service.repositories.users.search import UserFilter
from auth_service.security.keys import SecretKeys
from auth_service.security.passwords import argon2_build
from auth_service.security.signing_keys import ForgedKeyError, UnknownSecretError
from auth_service.security.tokens.access_tokens import signer_of
from auth_service.services.operations.database_checks import DatabaseChecks, look
from auth_service.services.operations.surroundings import Check, mail_server, of_settings, read_replica
from auth_service.services.passwords.benchmark import described, meets_minimum
from auth_service.services.passwords.lane_size import PROCESS_MIB, LaneSize, lane_memory_mib
from auth_service.services.signing_keys.database_clock import LEAST_TOLERATED
from auth_service.settings import X86_64_V3, Settings, runs_x86_64_v3

MOST_NAMED = 5  # administrators
NO_ADMINISTRATOR = "no administrator yet: 'auth-service users create EMAIL --role admin' creates one"
CLOCKS_APART = timedelta(seconds=5)


class Doctor:
    """Looks, and changes nothing."""

    def __init__(self, settings: Settings, database: Database, lane: LaneSize) -> None:
        self._settings = settings
        self._database = database
        self._lane = lane

    async def check(self) -> list[Check]:
        """Return every check, those of the database up to the first that it does not let be made."""
        found = [Check("settings", True, "usable"), *of_settings(self._settings)]
        found += [self._argon2(), _build(), self._memory(), self._schedule()]
        if self._settings.mail.host:
            found.append(await mail_server(self._settings))
        if self._database.replica:
            found.append(await read_replica(self._database.replica))
        of = DatabaseChecks(self._settings.database, self._database, SERVICE)
        database = {
            "database": of.reach,
            "disk": of.disk,
            "clock": self._clock,
            "schema": of.schema,
            "grants": of.grants,
            "signing key": self._signing_key,
            "second factors": self._second_factors,
            "secrets of factors": self._secrets_of_factors,
            "stored passkeys": self._stored_passkeys,
        }
        return found + await look(database, migrates_on_start=self._settings.migrates_on_start)

    def _argon2(self) -> Check:
        password = self._settings.password
        enough = meets_minimum(password)
        return Check("argon2", enough, f"{described(password)}, {'at least' if enough else 'below'} OWASP's minimum")

    def _memory(self) -> Check:
        needed = PROCESS_MIB + lane_memory_mib(self._settings, self._lane.threads)
        limit = self._lane.limits.memory
        told = f"a process needs up to {needed:.0f} MiB"
        if limit is None:
            return Check("memory", True, f"{told}; no limit is set")
        return Check("memory", needed * 2**20 <= limit, f"{told} of {limit // 2**20} MiB")

    def _schedule(self) -> Check:
        cleanup, rotation = self._settings.cleanup.interval, self._settings.keys.rotation_interval
        expired = (
            f"clean-up every {cleanup.total_seconds():g} s"
            if cleanup
            else "clean-up off: run 'auth-service cleanup' from cron"
        )
        keys = (
            f"a new signing key every {rotation.total_seconds() / 86_400:g} days"
            if rotation
            else "keys only by 'auth-service keys rotate'"
        )
        return Check("schedule", True, f"{expired}; {keys}")

    async def _clock(self) -> Check:
        before = datetime.now(UTC)
        now = await self._database.now()
        apart = now - before - (datetime.now(UTC) - before) / 2
        allowed = min(CLOCKS_APART, max(self._settings.tokens.leeway, LEAST_TOLERATED))
        return Check("clock", abs(apart) <= allowed, f"the database's is {apart.total_seconds():+.1f} s from ours")

    async def _signing_key(self) -> Check:
        secrets = SecretKeys.from_settings(self._settings)
        async with self._database.statement() as tx:
            stored = await tx.signing_keys.list_all()
        for key in stored:
            try:
                signer_of(key, secrets)
            except UnknownSecretError:
                hint = "AUTH_SECRET_KEY does not include the secret that it is encrypted under"
                return Check("signing key", False, f"{key.kid}: {hint}")
            except ForgedKeyError:
                hint = "this service did not make it: 'auth-service keys revoke' removes it"
                return Check("signing key", False, f"{key.kid}: {hint}")
        active = next((key for key in stored if key.state == KeyState.ACTIVE), None)
        told = f"{active.kid} can be used" if active else "none yet: created at the first start"
        return Check("signing key", True, told)

    async def _second_factors(self) -> Check:
        """Which administrators have none: a failure where they must have one, and a hint where they need not."""
        name = "second factors"
        policy = FactorPolicy.from_settings(self._settings)
        must, one = policy.asks(Role.ADMIN), "a passkey" if policy.asks_for_passkey(Role.ADMIN) else "one"
        administrators = UserFilter(role=Role.ADMIN, is_active=True)
        wanted = administrators._replace(without_factor=policy if must else FactorPolicy({}))
        async with self._database.statement() as tx:
            found = await tx.user_search.find_page(wanted, MOST_NAMED + 1)
        if not found:
            async with self._database.statement() as tx:
                has_any = bool(await tx.user_search.find_page(administrators, 1))
            return Check(name, True, f"every administrator has {one}" if has_any else NO_ADMINISTRATOR)
        named = ", ".join([escaped(user.email) for user in found[:MOST_NAMED]] + ["others"] * (len(found) > MOST_NAMED))
        rule = "must have one" if must else "AUTH_FACTORS__REQUIRED_ROLES=admin asks for one"
        return Check(name, not must, f"administrators without {one}, and {rule}: {named}")

    async def _secrets_of_factors(self) -> Check:
        """Whether AUTH_SECRET_KEY opens the secret of every authenticator app, and which key would do so alone."""
        name = "secrets of factors"
        secrets = SecretKeys.from_settings(self._settings)
        async with self._database.statement() as tx:
            counted = await tx.factors.count_by_secret()
        lost = sum(count for key, count in counted.items() if key not in secrets.ids)
        if lost:
            hint = "AUTH_SECRET_KEY does not include the secret that they are encrypted under, so no code is taken"
            return Check(name, False, f"{lost} cannot be opened: {hint}")
        older = sum(counted.values()) - counted.get(secrets.newest.id.hex(), 0)
        if older:
            hint = "run 'auth-service keys rewrap' before AUTH_SECRET_KEY loses it"
            return Check(name, True, f"{older} are encrypted under an older secret: {hint}")
        return Check(name, True, "all under the newest secret of AUTH_SECRET_KEY")

    async def _stored_passkeys(self) -> Check:
        """A passkey does not say of which domain it is (WebAuthn, section 7.1), only a signature of it does."""
        name, domain = "stored passkeys", self._settings.passkeys.rp_id
        async with self._database.statement() as tx:
            count, used_at = await tx.factors.count_passkeys()
        if not count:
            return Check(name, True, "none")
        if domain is None:
            return Check(name, False, f"{count}, and none can be used: AUTH_PASSKEYS__RP_ID is not set")
        last = f"last used on {used_at:%Y-%m-%d}" if used_at else "never used"
        hint = f"those that were added while AUTH_PASSKEYS__RP_ID was not {domain} can never be used with it"
        return Check(name, True, f"{count}, {last}; {hint}")


def _build() -> Check:
    """Which build of Argon2 hashes here, and whether this processor could do better; neither is a failure."""
    argon2_build.choose()
    running = argon2_build.running()
    if running != X86_64_V3 and runs_x86_64_v3():
        hint = f"{X86_64_V3}, which takes about half the time: docs/operating.md, 'The build of Argon2'"
        return Check("argon2 build", True, f"{running}, and this processor runs {hint}")
    return Check("argon2 build", True, running)
