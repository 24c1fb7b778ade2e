"""The parts of one process, plugged together."""

from datetime import timedelta
from typing import TYPE_CHECKING

from auth_service.api.requests.dependencies import Services
from auth_service.database.notifications import Notifications
from auth_service.models import SessionRules
from auth_service.repositories.probe import Probe
from auth_service.repositories.transaction import Database
from auth_service.schedule import Schedule
from auth_service.security.access_tokens import AccessTokens
from auth_service.security.keys import SecretKeys
from auth_service.security.passwords import Passwords
from auth_service.security.refresh_tokens import RefreshTokenCodec
from auth_service.services.accounts.email_change import EmailChange
from auth_service.services.accounts.own_account import OwnAccount
from auth_service.services.accounts.password_change import PasswordChange
from auth_service.services.accounts.reauthentication import Reauthentication
from auth_service.services.accounts.recovery import Recovery
from auth_service.services.accounts.registration import Registration
from auth_service.services.administration.administration import Administration
from auth_service.services.administration.directory import Directory
from auth_service.services.mail.notices import Notices
from auth_service.services.operations.audit import Audit
from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.health import HealthCheck
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.passwords.lane_size import lane_size
from auth_service.services.passwords.login_check import LoginCheck
from auth_service.services.passwords.new_password import NewPasswords
from auth_service.services.passwords.policy import PasswordPolicy
from auth_service.services.sessions.bearers import Bearers
from auth_service.services.sessions.oauth_tokens import OAuthTokens
from auth_service.services.sessions.own_sessions import OwnSessions
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.sessions import Sessions
from auth_service.services.signing_keys.key_ring import KeyRing
from auth_service.services.signing_keys.lifecycle import KeyLifecycle
from auth_service.services.throttling.throttle import Throttler
from auth_service.settings import Settings, read_limits

if TYPE_CHECKING:
    from auth_service.services.mail.dispatcher import Dispatcher

REVOCATION_MARGIN = timedelta(seconds=10)
LEEWAY_ELSEWHERE = timedelta(minutes=1)  # of those who verify by themselves; the most that our pages allow


class Parts:
    """Everything that a process is made of. Nothing runs yet. There is a dispatcher where mail is sent."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        tokens = settings.tokens
        secrets = SecretKeys.from_settings(settings)
        access_tokens = AccessTokens(
            settings.issuer, settings.audience, tokens.client_id, tokens.access_lifetime, tokens.leeway
        )
        rules = SessionRules.from_settings(settings)
        self.passwords = passwords = Passwords(settings.password)
        self.lane_size = lane_size(settings, read_limits())
        self.database = database = Database(settings.database)
        self.lane = lane = HashingLane(settings.hashing, self.lane_size.threads)
        new_passwords = NewPasswords(PasswordPolicy(settings.password, settings.base_url), passwords, lane)
        self.keys = keys = KeyRing(database, secrets, access_tokens)
        audit = Audit(database)
        self.throttle = throttle = Throttler(database, audit, secrets, settings.throttle, settings.hashing.deadline)
        self.revocations = revocations = Revocations(
            database,
            Notifications(settings.database),
            settings.revocations,
            remember=tokens.access_lifetime + LEEWAY_ELSEWHERE + REVOCATION_MARGIN,
        )
        self.health = HealthCheck(Probe(settings.database, database))
        self.notices = Notices(is_configured=settings.sends_mail)
        self.dispatcher = (
            _dispatcher(settings, self.notices, database, throttle) if self.notices.is_configured else None
        )
        cleanup = Cleanup(database, settings.audit.retention)
        lifecycle = KeyLifecycle(database, secrets, settings.keys.rotation_interval)
        self.schedule = Schedule(keys, lifecycle, cleanup, settings.cleanup)
        conceal = settings.registration.existing == "conceal"
        bearers = Bearers(database, keys, revocations)
        proof = Reauthentication(database=database, passwords=passwords, lane=lane, throttle=throttle, audit=audit)
        own_sessions = OwnSessions(database, revocations, rules)
        sessions = Sessions(
            database=database,
            tokens=RefreshTokenCodec(secrets),
            keys=keys,
            revocations=revocations,
            login_check=LoginCheck(passwords, lane),
            rules=rules,
            throttle=throttle,
            audit=audit,
            notices=self.notices,
            verified_only=conceal,
        )
        self.services = Services(
            settings=settings,
            registration=Registration(
                database=database,
                new_passwords=new_passwords,
                throttle=throttle,
                notices=self.notices,
                conceal=conceal,
            ),
            administration=Administration(database, revocations, self.notices),
            bearers=bearers,
            password_change=PasswordChange(
                database=database,
                revocations=revocations,
                new_passwords=new_passwords,
                proof=proof,
                notices=self.notices,
            ),
            own_account=OwnAccount(database, revocations, proof, rules),
            directory=Directory(database, rules),
            email_change=EmailChange(
                database=database,
                proof=proof,
                throttle=throttle,
                notices=self.notices,
                conceals=conceal,
            ),
            recovery=Recovery(
                database=database,
                revocations=revocations,
                new_passwords=new_passwords,
                throttle=throttle,
                notices=self.notices,
            ),
            own_sessions=own_sessions,
            revocations=revocations,
            sessions=sessions,
            oauth_tokens=OAuthTokens(bearers, sessions, own_sessions),
            keys=keys,
            health=self.health,
            pool=database,
            lane=lane,
            cleanup=cleanup,
            notices=self.notices,
        )  # fmt: skip


def _dispatcher(settings: Settings, notices: Notices, database: Database, throttle: Throttler) -> "Dispatcher":
    """Who sends mail. SMTP and Jinja are imported here, before anything is served: without mail nobody needs them."""
    from auth_service.mail.letters import Letters  # noqa: PLC0415
    from auth_service.mail.log import MailLog  # noqa: PLC0415
    from auth_service.mail.smtp import SmtpServer  # noqa: PLC0415
    from auth_service.services.mail.dispatcher import Dispatcher  # noqa: PLC0415
    from auth_service.services.mail.link_issuer import LinkIssuer  # noqa: PLC0415

    return Dispatcher(
        database=database,
        carrier=SmtpServer(settings.mail, settings.base_url) if settings.mail.host else MailLog(),
        letters=Letters(settings.mail.templates, settings.mail_name),
        link_issuer=LinkIssuer(settings),
        throttle=throttle,
        settings=settings.mail,
        numbers=notices.numbers,
    )
