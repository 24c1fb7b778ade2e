"""What the routes are given: the use cases that they call, plugged together in `parts`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import Verdict
from auth_service.repositories.database import Database
from auth_service.services.accounts.delayed_email_change import DelayedEmailChange
from auth_service.services.accounts.email_change import EmailChange
from auth_service.services.accounts.own_account import OwnAccount
from auth_service.services.accounts.password_change import PasswordChange
from auth_service.services.accounts.password_removal import PasswordRemoval
from auth_service.services.accounts.recovery import Recovery
from auth_service.services.accounts.registration import Registration
from auth_service.services.administration.administration import Administration
from auth_service.services.administration.directory import Directory
from auth_service.services.factors.enrolment import Enrolment
from auth_service.services.factors.factor_reset import FactorReset
from auth_service.services.factors.login_enrolment import LoginEnrolment
from auth_service.services.factors.own_factors import OwnFactors
from auth_service.services.factors.passkey_enrolment import PasskeyEnrolment
from auth_service.services.factors.passkey_login import PasskeyLogin
from auth_service.services.factors.passkey_step_up import PasskeyStepUp
from auth_service.services.factors.second_factor import SecondFactor
from auth_service.services.mail.notices import MailNumbers
from auth_service.services.operations.cleanup import Cleanup
from auth_service.services.operations.health import HealthCheck
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.passwords.new_password import NewPasswords
from auth_service.services.sessions.bearers import Bearers
from auth_service.services.sessions.login import Login
from auth_service.services.sessions.login_outcomes import LoginOutcome
from auth_service.services.sessions.oauth_tokens import OAuthTokens
from auth_service.services.sessions.own_sessions import OwnSessions
from auth_service.services.sessions.refresh import Refresh
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.step_up import StepUp
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.signing_keys.key_ring import KeyRing
from auth_service.settings import Settings


class Gauges(NamedTuple):
    """What the parts know about themselves, for `/metrics` alone."""

    database: Database
    lane: HashingLane
    refreshes: Mapping[Verdict, int]
    logins: Mapping[LoginOutcome, int]
    second_factors: Mapping[LoginOutcome, int]
    passkey_logins: Mapping[LoginOutcome, int]
    throttled: Mapping[str, int]
    mail: MailNumbers
    revocations: Revocations
    keys: KeyRing
    rotation_interval: timedelta
    cleanup: Cleanup


class Passkeys(NamedTuple):
    """The use cases of passkeys, where they are configured."""

    login: PasskeyLogin
    enrolment: PasskeyEnrolment
    step_up: PasskeyStepUp
    password_removal: PasswordRemoval


class Services(NamedTuple):
    settings: Settings
    registration: Registration
    new_passwords: NewPasswords
    addresses: AddressPolicy
    administration: Administration
    directory: Directory
    bearers: Bearers
    password_change: PasswordChange
    email_change: EmailChange
    delayed_email_change: DelayedEmailChange
    recovery: Recovery
    login: Login
    refresh: Refresh
    own_account: OwnAccount
    second_factor: SecondFactor
    enrolment: Enrolment
    login_enrolment: LoginEnrolment
    own_factors: OwnFactors
    passkeys: Passkeys | None
    factor_reset: FactorReset
    own_sessions: OwnSessions
    step_up: StepUp
    oauth_tokens: OAuthTokens
    revocations: Revocations
    keys: KeyRing
    clock: DatabaseClock
    health: HealthCheck
    lane: HashingLane
    gauges: Gauges
