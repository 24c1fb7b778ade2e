"""Parts that several others are made of, in groups."""

from datetime import timedelta
from typing import TYPE_CHECKING

from auth_service.database.notifications import Notifications
from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import FactorPolicy, SessionRules
from auth_service.repositories.database import Database
from auth_service.repositories.probe import Probe
from auth_service.schedule import Schedule
from auth_service.security.factors.webauthn import RelyingParty
from auth_service.security.keys import SecretKeys
from auth_service.security.passwords.hashing import Passwords
from auth_service.security.tokens.access_tokens import AccessTokens
from auth_service.security.tokens.challenges import ChallengeCodec
from auth_service.security.tokens.refresh_tokens import RefreshTokenCodec
from auth_service.services.accounts.delayed_email_change import DelayedEmailChange
from auth_service.services.factors.factor_reset import FactorReset
from auth_service.services.factors.passkey_enrolment import NewPasskeys
from auth_service.services.factors.passkey_proofs import PasskeyProofs
from auth_service.services.mail.notices import MailNumbers, Notices
from auth_service.services.operations.audit import Audit
from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.health import HealthCheck
from auth_service.services.operations.usernames import Usernames
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.passwords.lane_size import lane_size
from auth_service.services.passwords.login_check import LoginCheck
from auth_service.services.passwords.new_password import NewPasswords
from auth_service.services.passwords.policy import PasswordPolicy
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.token_issuer import TokenIssuer
from auth_service.services.sessions.totp_codes import TotpCodes
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.signing_keys.key_ring import KeyRing
from auth_service.services.signing_keys.lifecycle import KeyLifecycle
from auth_service.services.throttling.rate_limits import RateLimits
from auth_service.settings import Settings, read_limits

if TYPE_CHECKING:
    from auth_service.services.mail.dispatcher import Dispatcher

REVOCATION_MARGIN = timedelta(seconds=10)
LEEWAY_ELSEWHERE = timedelta(minutes=1)  # of those who verify by themselves; the most that our pages allow


class TokenParts:
    """What makes and checks tokens, and knows which sessions have ended."""

    def __init__(self, settings: Settings, database: Database) -> None:
        tokens = settings.tokens
        self.secrets = SecretKeys.from_settings(settings)
        self.rules = SessionRules.from_settings(settings)
        self.refresh_tokens = RefreshTokenCodec(self.secrets)
        self.factor_policy = FactorPolicy.from_settings(settings)
        self.challenges = ChallengeCodec(self.secrets)
        self.codes = TotpCodes(self.secrets)
        access_tokens = AccessTokens(
            settings.issuer, settings.audience, tokens.client_id, tokens.access_lifetime, tokens.leeway
        )
        self.clock = DatabaseClock(tokens.leeway, is_own=not settings.database.is_postgresql)
        self.keys = KeyRing(database, self.secrets, access_tokens, self.clock)
        self.issuer = TokenIssuer(self.refresh_tokens, self.keys, self.rules)
        remember = tokens.access_lifetime + LEEWAY_ELSEWHERE + REVOCATION_MARGIN
        self.revocations = Revocations(database, Notifications(settings.database), settings.revocations, remember)


class HashingParts:
    """What hashes passwords, compares them, and judges new ones."""

    def __init__(self, settings: Settings) -> None:
        self.passwords = Passwords(settings.password)
        self.lane_size = lane_size(settings, read_limits())
        self.lane = HashingLane(settings.hashing, self.lane_size.threads)
        self.login_check = LoginCheck(self.passwords, self.lane)
        policy = PasswordPolicy(settings.password, settings.base_url)
        self.new_passwords = NewPasswords(policy, self.passwords, self.lane)


class UpkeepParts:
    """What works beside the requests. There is a dispatcher where mail is sent."""

    def __init__(self, settings: Settings, database: Database, tokens: TokenParts, rate_limits: RateLimits) -> None:
        self.health = HealthCheck(Probe(settings.database, database))
        self.cleanup = Cleanup(database, settings.audit.retention, settings.registration.unverified_lifetime)
        lifecycle = KeyLifecycle(database, tokens.secrets, settings.keys.rotation_interval)
        self.notices = Notices(is_configured=settings.sends_mail)
        self.mail = MailNumbers()
        self.dispatcher = _dispatcher(settings, database, rate_limits, self.mail) if settings.sends_mail else None
        known = {"sends_utf8": self.dispatcher.sends_utf8} if self.dispatcher else {}
        self.addresses = AddressPolicy(takes_in_house=settings.takes_in_house_domains, **known)
        given = database, tokens.revocations, rate_limits, self.notices
        delay = settings.administration.email_change_delay
        self.email_change = DelayedEmailChange(*given, delay, addresses=self.addresses)
        self.factor_reset = FactorReset(*given, settings.factors.reset_delay)
        changes = (self.email_change, self.factor_reset)
        self.schedule = Schedule(lifecycle, changes, Usernames(database), self.cleanup, settings.cleanup)


class PasskeyParts:
    """What asks for passkeys, and checks what comes back. fido2 is imported here, before anything is served."""

    def __init__(
        self, settings: Settings, database: Database, tokens: TokenParts, audit: Audit, notices: Notices
    ) -> None:
        from auth_service.security.factors.passkeys import PasskeyVerifier  # noqa: PLC0415  # it costs memory

        self.verifier = PasskeyVerifier(
            RelyingParty(
                settings.passkeys.rp_id or "",
                settings.application_name,
                frozenset(settings.passkey_origins),
                frozenset(settings.passkeys.top_origins),
            )
        )
        self.proofs = PasskeyProofs(database, self.verifier, audit, notices)
        self.new = NewPasskeys(self.verifier, tokens.challenges)


def _dispatcher(settings: Settings, database: Database, rate_limits: RateLimits, numbers: MailNumbers) -> "Dispatcher":
    """Who sends mail. SMTP and Jinja are imported here, before anything is served: without mail they are not needed."""
    from auth_service.mail.letters import Letters  # noqa: PLC0415
    from auth_service.mail.log import MailLog  # noqa: PLC0415
    from auth_service.mail.smtp import SmtpServer  # noqa: PLC0415
    from auth_service.services.mail.composer import Composer  # noqa: PLC0415
    from auth_service.services.mail.dispatcher import Dispatcher  # noqa: PLC0415
    from auth_service.services.mail.link_issuer import LinkIssuer  # noqa: PLC0415

    letters = Letters(settings.mail.templates, settings.application_name)
    return Dispatcher(
        database=database,
        carrier=SmtpServer(settings.mail, settings.base_url) if settings.mail.host else MailLog(),
        composer=Composer(database, letters, LinkIssuer(settings), rate_limits),
        settings=settings.mail,
        numbers=numbers,
    )
