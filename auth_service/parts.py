"""The parts of one process, plugged together."""

from datetime import timedelta
from typing import TYPE_CHECKING

from auth_service.database.notifications import Notifications
from auth_service.models import FactorPolicy, SessionRules
from auth_service.repositories.probe import Probe
from auth_service.repositories.transaction import Database
from auth_service.schedule import Schedule
from auth_service.security.access_tokens import AccessTokens
from auth_service.security.challenges import ChallengeCodec
from auth_service.security.keys import SecretKeys
from auth_service.security.passwords import Passwords
from auth_service.security.refresh_tokens import RefreshTokenCodec
from auth_service.services.accounts.delayed_email_change import DelayedEmailChange
from auth_service.services.accounts.email_change import EmailChange
from auth_service.services.accounts.own_account import OwnAccount
from auth_service.services.accounts.password_change import PasswordChange
from auth_service.services.accounts.reauthentication import Reauthentication
from auth_service.services.accounts.recovery import Recovery
from auth_service.services.accounts.registration import Registration
from auth_service.services.administration.administration import Administration
from auth_service.services.administration.directory import Directory
from auth_service.services.factors.enrolment import Enrolment
from auth_service.services.factors.factor_reset import FactorReset
from auth_service.services.factors.factor_sign_in import FactorSignIn
from auth_service.services.factors.login_enrolment import LoginEnrolment
from auth_service.services.factors.own_factors import OwnFactors
from auth_service.services.factors.passkey_enrolment import NewPasskeys, PasskeyEnrolment
from auth_service.services.factors.passkey_login import PasskeyLogin
from auth_service.services.factors.passkey_proofs import PasskeyProofs
from auth_service.services.factors.second_factor import SecondFactor
from auth_service.services.mail.notices import MailNumbers, Notices
from auth_service.services.operations.audit import Audit
from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.health import HealthCheck
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.passwords.lane_size import lane_size
from auth_service.services.passwords.login_check import LoginCheck
from auth_service.services.passwords.new_password import NewPasswords
from auth_service.services.passwords.policy import PasswordPolicy
from auth_service.services.services import Gauges, Passkeys, Services
from auth_service.services.sessions.bearers import Bearers
from auth_service.services.sessions.challenges import Challenges
from auth_service.services.sessions.login import Login
from auth_service.services.sessions.oauth_tokens import OAuthTokens
from auth_service.services.sessions.own_sessions import OwnSessions
from auth_service.services.sessions.refresh import Refresh
from auth_service.services.sessions.replays import Replays
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.sessions.step_up import StepUp
from auth_service.services.sessions.token_issuer import TokenIssuer
from auth_service.services.sessions.totp_codes import TotpCodes
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.signing_keys.key_ring import KeyRing
from auth_service.services.signing_keys.lifecycle import KeyLifecycle
from auth_service.services.throttling.throttle import Throttler
from auth_service.settings import Settings, read_limits

if TYPE_CHECKING:
    from auth_service.services.mail.dispatcher import Dispatcher

REVOCATION_MARGIN = timedelta(seconds=10)
LEEWAY_ELSEWHERE = timedelta(minutes=1)  # of those who verify by themselves; the most that our pages allow


class Parts:
    """Everything that a process is made of. Nothing runs yet."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = database = Database(settings.database)
        self.audit = Audit(database)
        self.tokens = TokenParts(settings, database)
        self.hashing = HashingParts(settings)
        patience = settings.hashing.deadline
        self.throttle = Throttler(database, self.audit, self.tokens.secrets, settings.throttle, patience)
        self.upkeep = UpkeepParts(settings, database, self.tokens, self.throttle)
        self.services = _services(self)


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

    def __init__(self, settings: Settings, database: Database, tokens: TokenParts, throttle: Throttler) -> None:
        self.health = HealthCheck(Probe(settings.database, database))
        self.cleanup = Cleanup(database, settings.audit.retention, settings.registration.unverified_lifetime)
        lifecycle = KeyLifecycle(database, tokens.secrets, settings.keys.rotation_interval)
        self.notices = Notices(is_configured=settings.sends_mail)
        given = database, tokens.revocations, throttle, self.notices
        self.email_change = DelayedEmailChange(*given, settings.administration.email_change_delay)
        self.factor_reset = FactorReset(*given, settings.factors.reset_delay)
        self.schedule = Schedule(lifecycle, (self.email_change, self.factor_reset), self.cleanup, settings.cleanup)
        self.mail = MailNumbers()
        self.dispatcher = _dispatcher(settings, database, throttle, self.mail) if settings.sends_mail else None


def _services(parts: Parts) -> Services:
    """The use cases that the routes call."""
    settings, database, tokens = parts.settings, parts.database, parts.tokens
    hashing, upkeep = parts.hashing, parts.upkeep
    keys, revocations, rules = tokens.keys, tokens.revocations, tokens.rules
    new_passwords, throttle, audit = hashing.new_passwords, parts.throttle, parts.audit
    notices, conceal = upkeep.notices, settings.registration.existing == "conceal"
    proof = Reauthentication(
        database=database, passwords=hashing.passwords, lane=hashing.lane, throttle=throttle, audit=audit
    )
    recent, factor_policy = settings.factors.recent, tokens.factor_policy
    bearers = Bearers(database, keys, revocations, tokens.clock, recent=recent, factor_policy=factor_policy)
    own_sessions = OwnSessions(database, revocations, rules)
    sign_in = _sign_in(parts)
    login, refresh, second_factor = _login(parts, sign_in), _refresh(parts), _second_factor(parts, sign_in)
    return Services(
        settings=settings,
        registration=Registration(
            database=database,
            new_passwords=new_passwords,
            throttle=throttle,
            notices=notices,
            conceal=conceal,
            expires=settings.mail.host is not None,
        ),
        administration=Administration(database, revocations, notices),
        directory=Directory(database, rules),
        bearers=bearers,
        password_change=_password_change(parts, sign_in, proof),
        email_change=EmailChange(database=database, proof=proof, throttle=throttle, notices=notices, conceals=conceal),
        delayed_email_change=upkeep.email_change,
        recovery=Recovery(
            database=database,
            revocations=revocations,
            new_passwords=new_passwords,
            proof=proof,
            throttle=throttle,
            notices=notices,
        ),
        login=login,
        refresh=refresh,
        own_account=OwnAccount(database, revocations, proof, throttle, rules),
        second_factor=second_factor,
        enrolment=_enrolment(parts, sign_in),
        login_enrolment=_login_enrolment(parts, sign_in),
        passkeys=_passkeys(parts, sign_in) if settings.passkeys.rp_id else None,
        own_factors=OwnFactors(database, throttle, notices, factor_policy),
        factor_reset=upkeep.factor_reset,
        own_sessions=own_sessions,
        step_up=_step_up(parts),
        oauth_tokens=OAuthTokens(bearers, refresh, own_sessions),
        revocations=revocations,
        keys=keys,
        clock=tokens.clock,
        health=upkeep.health,
        lane=hashing.lane,
        gauges=_gauges(parts, login, refresh, second_factor),
    )


def _sign_in(parts: Parts) -> SignIn:
    tokens = parts.tokens
    return SignIn(
        database=parts.database,
        issuer=tokens.issuer,
        revocations=tokens.revocations,
        rules=tokens.rules,
        throttle=parts.throttle,
        notices=parts.upkeep.notices,
    )


def _login(parts: Parts, sign_in: SignIn) -> Login:
    return Login(
        database=parts.database,
        sign_in=sign_in,
        challenges=Challenges(parts.tokens.challenges, parts.throttle),
        login_check=parts.hashing.login_check,
        throttle=parts.throttle,
        audit=parts.audit,
        factor_policy=parts.tokens.factor_policy,
        apply_due_reset=parts.upkeep.factor_reset.apply_at_sign_in,
        verified_only=parts.settings.registration.existing == "conceal",
    )


def _password_change(parts: Parts, sign_in: SignIn, proof: Reauthentication) -> PasswordChange:
    return PasswordChange(
        database=parts.database,
        revocations=parts.tokens.revocations,
        sign_in=sign_in,
        issuer=parts.tokens.issuer,
        new_passwords=parts.hashing.new_passwords,
        proof=proof,
        notices=parts.upkeep.notices,
    )


def _second_factor(parts: Parts, sign_in: SignIn) -> SecondFactor:
    tokens = parts.tokens
    return SecondFactor(
        database=parts.database,
        codes=tokens.codes,
        challenges=tokens.challenges,
        clock=tokens.clock,
        sign_in=_factor_sign_in(parts, sign_in),
        apply_due_reset=parts.upkeep.factor_reset.apply_at_sign_in,
        throttle=parts.throttle,
        audit=parts.audit,
        notices=parts.upkeep.notices,
    )


def _factor_sign_in(parts: Parts, sign_in: SignIn) -> FactorSignIn:
    return FactorSignIn(parts.database, sign_in, parts.upkeep.notices)


def _passkeys(parts: Parts, sign_in: SignIn) -> Passkeys:
    """fido2 is imported here, before anything is served: without passkeys it is not needed."""
    from auth_service.security.passkeys import PasskeyVerifier, RelyingParty  # noqa: PLC0415

    settings, tokens, upkeep = parts.settings, parts.tokens, parts.upkeep
    verifier = PasskeyVerifier(
        RelyingParty(
            settings.passkeys.rp_id or "",
            settings.mail_name,
            frozenset(settings.passkey_origins),
            frozenset(settings.passkeys.top_origins),
        )
    )
    login = PasskeyLogin(
        verifier=verifier,
        proofs=PasskeyProofs(parts.database, verifier, parts.audit, upkeep.notices),
        challenges=tokens.challenges,
        clock=tokens.clock,
        sign_in=_factor_sign_in(parts, sign_in),
        apply_due_reset=upkeep.factor_reset.apply_at_sign_in,
        throttle=parts.throttle,
        audit=parts.audit,
        verified_only=settings.registration.existing == "conceal",
    )
    enrolment = PasskeyEnrolment(
        database=parts.database,
        passkeys=NewPasskeys(verifier, tokens.challenges),
        challenges=tokens.challenges,
        clock=tokens.clock,
        sign_in=sign_in,
        issuer=tokens.issuer,
        revocations=tokens.revocations,
        throttle=parts.throttle,
        notices=upkeep.notices,
    )
    return Passkeys(login, enrolment)


def _enrolment(parts: Parts, sign_in: SignIn) -> Enrolment:
    tokens = parts.tokens
    return Enrolment(
        database=parts.database,
        secrets=tokens.secrets,
        codes=tokens.codes,
        sign_in=sign_in,
        issuer=tokens.issuer,
        revocations=tokens.revocations,
        throttle=parts.throttle,
        audit=parts.audit,
        notices=parts.upkeep.notices,
        issuer_name=parts.settings.mail_name,
    )


def _login_enrolment(parts: Parts, sign_in: SignIn) -> LoginEnrolment:
    tokens = parts.tokens
    return LoginEnrolment(
        database=parts.database,
        secrets=tokens.secrets,
        challenges=tokens.challenges,
        clock=tokens.clock,
        sign_in=sign_in,
        revocations=tokens.revocations,
        throttle=parts.throttle,
        audit=parts.audit,
        notices=parts.upkeep.notices,
        issuer_name=parts.settings.mail_name,
    )


def _step_up(parts: Parts) -> StepUp:
    return StepUp(
        database=parts.database,
        issuer=parts.tokens.issuer,
        rules=parts.tokens.rules,
        passwords=parts.hashing.passwords,
        lane=parts.hashing.lane,
        codes=parts.tokens.codes,
        throttle=parts.throttle,
        audit=parts.audit,
        notices=parts.upkeep.notices,
    )


def _refresh(parts: Parts) -> Refresh:
    tokens = parts.tokens
    return Refresh(
        database=parts.database,
        tokens=tokens.refresh_tokens,
        issuer=tokens.issuer,
        revocations=tokens.revocations,
        rules=tokens.rules,
        throttle=parts.throttle,
        replays=Replays(parts.database, parts.upkeep.notices),
        factor_policy=tokens.factor_policy,
    )


def _gauges(parts: Parts, login: Login, refresh: Refresh, second_factor: SecondFactor) -> Gauges:
    return Gauges(
        database=parts.database,
        lane=parts.hashing.lane,
        refreshes=refresh.outcomes,
        logins=login.outcomes,
        second_factors=second_factor.outcomes,
        throttled=parts.throttle.refused,
        mail=parts.upkeep.mail,
        revocations=parts.tokens.revocations,
        keys=parts.tokens.keys,
        rotation_interval=parts.settings.keys.rotation_interval,
        cleanup=parts.upkeep.cleanup,
    )


def _dispatcher(settings: Settings, database: Database, throttle: Throttler, numbers: MailNumbers) -> "Dispatcher":
    """Who sends mail. SMTP and Jinja are imported here, before anything is served: without mail they are not needed."""
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
        numbers=numbers,
    )
