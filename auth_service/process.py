"""The parts of one process: made once, started and stopped with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from auth_service import __version__, logs
from auth_service.api.dependencies import Services
from auth_service.drain import end_put_off
from auth_service.errors import DatabaseUnavailable
from auth_service.mail.letters import Letters
from auth_service.mail.log import MailLog
from auth_service.mail.smtp import SmtpServer
from auth_service.models import SessionRules
from auth_service.repositories import migrator
from auth_service.repositories.database import Database
from auth_service.repositories.notifications import Notifications
from auth_service.repositories.probe import Probe
from auth_service.schedule import Schedule
from auth_service.security.access_tokens import AccessTokens
from auth_service.security.keys import SecretKeys
from auth_service.security.passwords import Passwords
from auth_service.security.refresh_tokens import RefreshTokens
from auth_service.services.accounts import Accounts
from auth_service.services.administration import Administration
from auth_service.services.audit import Audit
from auth_service.services.bearers import Bearers
from auth_service.services.cleanup import Cleanup
from auth_service.services.credentials import Credentials
from auth_service.services.directory import Directory
from auth_service.services.email_change import EmailChange
from auth_service.services.hashing import HashingLane
from auth_service.services.health import Health
from auth_service.services.key_lifecycle import KeyLifecycle
from auth_service.services.lane_size import lane_size
from auth_service.services.link_minting import LinkMinting
from auth_service.services.links import Links
from auth_service.services.own_account import OwnAccount
from auth_service.services.own_sessions import OwnSessions
from auth_service.services.password_check import PasswordCheck
from auth_service.services.password_policy import PasswordPolicy
from auth_service.services.password_proof import PasswordProof
from auth_service.services.post import Post
from auth_service.services.postman import Postman
from auth_service.services.revocations import Revocations
from auth_service.services.sessions import Sessions
from auth_service.services.signing_keys import SigningKeys
from auth_service.services.throttle import Throttle
from auth_service.services.tokens import Tokens
from auth_service.settings import Settings, read_limits

log = structlog.get_logger()

REVOCATION_MARGIN = timedelta(seconds=10)
LEEWAY_ELSEWHERE = timedelta(minutes=1)  # of those who verify by themselves; the most that our pages allow
STOP_SECONDS = 3.0  # as long as a statement can take
RETRY_FASTEST, RETRY_SLOWEST = 0.25, 5.0  # seconds


class Service:
    """The parts of one process, made once, started and stopped with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        tokens = settings.tokens
        secrets = SecretKeys([secret.get_secret_value() for secret in settings.secret_key])
        access_tokens = AccessTokens(
            settings.issuer, settings.audience, tokens.client_id, tokens.access_lifetime, tokens.leeway
        )
        rules = SessionRules(
            tokens.refresh_grace,
            tokens.refresh_idle_lifetime,
            tokens.refresh_absolute_lifetime,
            settings.sessions.max_per_user,
        )
        policy = PasswordPolicy(settings.password, settings.base_url)
        passwords = Passwords(settings.password)
        self._lane_size = lane_size(settings, read_limits())
        self._database = database = Database(settings.database)
        self._lane = lane = HashingLane(settings.hashing, self._lane_size.threads)
        self._keys = keys = SigningKeys(database, secrets, access_tokens)
        audit = Audit(database)
        self._throttle = throttle = Throttle(database, audit, secrets, settings.throttle, settings.hashing.deadline)
        self._revocations = revocations = Revocations(
            database,
            Notifications(settings.database),
            settings.revocations,
            remember=tokens.access_lifetime + LEEWAY_ELSEWHERE + REVOCATION_MARGIN,
        )
        self._health = Health(Probe(settings.database, database))
        self._post = Post(is_configured=settings.sends_mail)
        self._postman = Postman(
            database=database,
            carrier=SmtpServer(settings.mail, settings.base_url) if settings.mail.host else MailLog(),
            letters=Letters(settings.mail.templates, settings.mail_name),
            minting=LinkMinting(settings),
            throttle=throttle,
            settings=settings.mail,
        )
        cleanup = Cleanup(database, settings.audit.retention)
        lifecycle = KeyLifecycle(database, secrets, settings.keys.rotation_interval)
        self._schedule = Schedule(keys, lifecycle, cleanup, settings.cleanup)
        conceal = settings.registration.existing == "conceal"
        bearers = Bearers(database, keys, revocations)
        proof = PasswordProof(database=database, passwords=passwords, lane=lane, throttle=throttle, audit=audit)
        own_sessions = OwnSessions(database, revocations, rules)
        sessions = Sessions(
            database=database,
            tokens=RefreshTokens(secrets),
            keys=keys,
            revocations=revocations,
            password_check=PasswordCheck(passwords, lane),
            rules=rules,
            throttle=throttle,
            audit=audit,
            post=self._post,
            verified_only=conceal,
        )
        self.services = Services(
            settings=settings,
            accounts=Accounts(
                database=database,
                passwords=passwords,
                lane=lane,
                policy=policy,
                throttle=throttle,
                post=self._post,
                conceal=conceal,
            ),
            administration=Administration(database, revocations, self._post),
            bearers=bearers,
            credentials=Credentials(
                database=database,
                revocations=revocations,
                passwords=passwords,
                lane=lane,
                policy=policy,
                proof=proof,
                post=self._post,
            ),
            own_account=OwnAccount(database, revocations, proof, rules),
            directory=Directory(database, rules),
            email_change=EmailChange(
                database=database,
                proof=proof,
                throttle=throttle,
                post=self._post,
                conceals=conceal,
            ),
            links=Links(
                database=database,
                revocations=revocations,
                passwords=passwords,
                lane=lane,
                policy=policy,
                throttle=throttle,
                post=self._post,
            ),
            own_sessions=own_sessions,
            revocations=revocations,
            sessions=sessions,
            tokens=Tokens(bearers, sessions, own_sessions),
            keys=keys,
            health=self._health,
            pool=database,
            lane=lane,
            cleanup=cleanup,
            post=self._post,
            postman=self._postman,
        )  # fmt: skip

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """Serve at once, also without a database: it may come later, and then we are ready by ourselves."""
        preparing = None if await self._is_prepared() else asyncio.create_task(self._prepare())
        following = {asyncio.create_task(self._revocations.follow())}
        if self._post.is_configured:
            following.add(asyncio.create_task(self._postman.follow()))
        self._schedule.start()
        self._lane_size.tell(self._settings.hashing)
        log.info("service.started", version=__version__)
        try:
            with end_put_off(self._settings.shutdown.drain, self._health.end_is_near):
                yield
        finally:
            self._schedule.stop()
            self._revocations.stop()
            self._postman.stop()
            if preparing:
                preparing.cancel()
            tasks = {*following, *self._schedule.running} | ({preparing} if preparing else set())
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            await self._throttle.close()
            await self._health.close()
            self._lane.close()
            await self._database.dispose()
            log.info("service.stopped")

    async def _prepare(self) -> None:
        pause, ready = RETRY_FASTEST, False
        while not ready:
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_SLOWEST)
            try:
                ready = await self._is_prepared()
            except Exception:
                log.exception("service.not_prepared")  # to give up in silence would be worse

    async def _is_prepared(self) -> bool:
        """Check the database, migrate it if that is ours to do, and have a signing key; False without a database."""
        try:
            await self._database.check()
            if self._settings.migrates_on_start:
                await self._database.run_sync(migrator.upgrade, migrator.BUDGET)
            await self._keys.published()
            await self._revocations.read()
        except DatabaseUnavailable as error:
            log.warning("service.not_ready", code=error.code, detail=error.detail, caused_by=logs.causes_of(error))
            return False
        return True
