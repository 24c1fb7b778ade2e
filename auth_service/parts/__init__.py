"""The parts of one process, plugged together."""

from auth_service.parts import factors
from auth_service.parts.groups import HashingParts, PasskeyParts, TokenParts, UpkeepParts
from auth_service.repositories.database import Database
from auth_service.services.accounts.email_change import EmailChange
from auth_service.services.accounts.own_account import OwnAccount
from auth_service.services.accounts.password_change import PasswordChange
from auth_service.services.accounts.reauthentication import Reauthentication
from auth_service.services.accounts.recovery import Recovery
from auth_service.services.accounts.registration import Registration
from auth_service.services.administration.administration import Administration
from auth_service.services.administration.directory import Directory
from auth_service.services.factors.own_factors import OwnFactors
from auth_service.services.factors.second_factor import SecondFactor
from auth_service.services.operations.audit import Audit
from auth_service.services.services import Gauges, Passkeys, Services
from auth_service.services.sessions.bearers import Bearers
from auth_service.services.sessions.challenges import Challenges
from auth_service.services.sessions.login import Login
from auth_service.services.sessions.oauth_tokens import OAuthTokens
from auth_service.services.sessions.own_sessions import OwnSessions
from auth_service.services.sessions.refresh import Refresh
from auth_service.services.sessions.replays import Replays
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.throttling.attempts import Attempts
from auth_service.services.throttling.rate_limits import RateLimits
from auth_service.services.throttling.tallies import Tallies
from auth_service.services.throttling.throttle import Throttler
from auth_service.settings import Settings


class Parts:
    """Everything that a process is made of. Nothing runs yet."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = database = Database(settings.database)
        self.audit = Audit(database)
        self.tokens = TokenParts(settings, database)
        self.hashing = HashingParts(settings)
        tallies = Tallies(self.tokens.secrets, settings.throttle)
        attempts = Attempts(database, self.audit, settings.hashing.deadline) if settings.throttle.enabled else None
        self.throttle = Throttler(database, tallies, attempts, settings.throttle)
        self.rate_limits = RateLimits(tallies, attempts)
        self.upkeep = UpkeepParts(settings, database, self.tokens, self.rate_limits)
        given = settings, database, self.tokens, self.audit, self.upkeep.notices
        self.passkeys = PasskeyParts(*given) if settings.passkeys.rp_id else None
        self.services = _services(self)


def _services(parts: Parts) -> Services:
    """The use cases that the routes call."""
    settings, database, tokens = parts.settings, parts.database, parts.tokens
    hashing, upkeep = parts.hashing, parts.upkeep
    keys, revocations, rules = tokens.keys, tokens.revocations, tokens.rules
    new_passwords, rate_limits = hashing.new_passwords, parts.rate_limits
    notices, conceal = upkeep.notices, settings.registration.existing == "conceal"
    proof = _reauthentication(parts)
    recent, factor_policy = settings.factors.recent, tokens.factor_policy
    bearers = Bearers(database, keys, revocations, tokens.clock, recent=recent, factor_policy=factor_policy)
    own_sessions = OwnSessions(database, revocations, rules)
    sign_in = _sign_in(parts)
    login, refresh, second_factor = _login(parts, sign_in), _refresh(parts), factors.second_factor(parts, sign_in)
    passkeys = factors.passkeys(parts, parts.passkeys, sign_in) if parts.passkeys else None
    return Services(
        settings=settings,
        new_passwords=new_passwords,
        addresses=upkeep.addresses,
        registration=Registration(
            database=database,
            new_passwords=new_passwords,
            rate_limits=rate_limits,
            notices=notices,
            addresses=upkeep.addresses,
            conceal=conceal,
            expires=settings.mail.host is not None,
        ),
        administration=Administration(database, revocations, notices, upkeep.addresses),
        directory=Directory(database, rules),
        bearers=bearers,
        password_change=_password_change(parts, sign_in, proof),
        email_change=_email_change(parts, proof),
        delayed_email_change=upkeep.email_change,
        recovery=_recovery(parts, proof),
        login=login,
        refresh=refresh,
        own_account=OwnAccount(database, revocations, proof, rate_limits, rules),
        second_factor=second_factor,
        enrolment=factors.enrolment(parts, sign_in),
        login_enrolment=factors.login_enrolment(parts, sign_in),
        passkeys=passkeys,
        own_factors=OwnFactors(database, rate_limits, notices, factor_policy),
        factor_reset=upkeep.factor_reset,
        own_sessions=own_sessions,
        step_up=factors.step_up(parts),
        oauth_tokens=OAuthTokens(bearers, refresh, own_sessions),
        revocations=revocations,
        keys=keys,
        clock=tokens.clock,
        health=upkeep.health,
        lane=hashing.lane,
        gauges=_gauges(parts, login, refresh, second_factor, passkeys),
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
        sign_in=sign_in,
        challenges=Challenges(
            parts.tokens.challenges,
            parts.throttle,
            parts.tokens.factor_policy,
            parts.passkeys.verifier if parts.passkeys else None,
        ),
        login_check=parts.hashing.login_check,
        throttle=parts.throttle,
        audit=parts.audit,
        factor_policy=parts.tokens.factor_policy,
        apply_due_reset=parts.upkeep.factor_reset.apply_at_sign_in,
        verified_only=parts.settings.registration.existing == "conceal",
    )


def _reauthentication(parts: Parts) -> Reauthentication:
    return Reauthentication(
        database=parts.database,
        passwords=parts.hashing.passwords,
        lane=parts.hashing.lane,
        throttle=parts.throttle,
        rate_limits=parts.rate_limits,
        audit=parts.audit,
    )


def _email_change(parts: Parts, proof: Reauthentication) -> EmailChange:
    return EmailChange(
        database=parts.database,
        proof=proof,
        rate_limits=parts.rate_limits,
        notices=parts.upkeep.notices,
        addresses=parts.upkeep.addresses,
        conceals=parts.settings.registration.existing == "conceal",
    )


def _recovery(parts: Parts, proof: Reauthentication) -> Recovery:
    return Recovery(
        database=parts.database,
        revocations=parts.tokens.revocations,
        new_passwords=parts.hashing.new_passwords,
        proof=proof,
        throttle=parts.throttle,
        rate_limits=parts.rate_limits,
        notices=parts.upkeep.notices,
        factor_policy=parts.tokens.factor_policy,
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


def _gauges(
    parts: Parts, login: Login, refresh: Refresh, second_factor: SecondFactor, passkeys: Passkeys | None
) -> Gauges:
    return Gauges(
        database=parts.database,
        lane=parts.hashing.lane,
        refreshes=refresh.outcomes,
        logins=login.outcomes,
        second_factors=second_factor.outcomes,
        passkey_logins=passkeys.login.outcomes if passkeys else {},
        throttled=parts.throttle.refused,
        mail=parts.upkeep.mail,
        revocations=parts.tokens.revocations,
        keys=parts.tokens.keys,
        rotation_interval=parts.settings.keys.rotation_interval,
        cleanup=parts.upkeep.cleanup,
    )
