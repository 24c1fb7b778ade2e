"""The use cases of second factors and passkeys, plugged together."""

from typing import TYPE_CHECKING

from auth_service.services.accounts.password_removal import PasswordRemoval
from auth_service.services.factors.enrolment import Enrolment
from auth_service.services.factors.factor_sign_in import FactorSignIn
from auth_service.services.factors.login_enrolment import LoginEnrolment
from auth_service.services.factors.login_factors import AddTotp
from auth_service.services.factors.passkey_enrolment import PasskeyEnrolment
from auth_service.services.factors.passkey_login import PasskeyLogin
from auth_service.services.factors.passkey_step_up import PasskeyStepUp
from auth_service.services.factors.required_passkey import RequiredPasskey
from auth_service.services.factors.second_factor import SecondFactor
from auth_service.services.services import Passkeys
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.sessions.step_up import StepUp

if TYPE_CHECKING:
    from auth_service.parts import Parts
    from auth_service.parts.groups import PasskeyParts


def second_factor(parts: "Parts", sign_in: SignIn) -> SecondFactor:
    tokens = parts.tokens
    return SecondFactor(
        database=parts.database,
        codes=tokens.codes,
        passkeys=parts.passkeys.proofs if parts.passkeys else None,
        required_passkey=RequiredPasskey(parts.database, tokens.challenges, tokens.factor_policy),
        challenges=tokens.challenges,
        clock=tokens.clock,
        sign_in=_factor_sign_in(parts, sign_in),
        apply_due_reset=parts.upkeep.factor_reset.apply_at_sign_in,
        throttle=parts.throttle,
        audit=parts.audit,
        notices=parts.upkeep.notices,
    )


def _factor_sign_in(parts: "Parts", sign_in: SignIn) -> FactorSignIn:
    return FactorSignIn(parts.database, sign_in, parts.upkeep.notices)


def passkeys(parts: "Parts", given: "PasskeyParts", sign_in: SignIn) -> Passkeys:
    tokens, upkeep = parts.tokens, parts.upkeep
    login = PasskeyLogin(
        verifier=given.verifier,
        proofs=given.proofs,
        challenges=tokens.challenges,
        clock=tokens.clock,
        sign_in=_factor_sign_in(parts, sign_in),
        apply_due_reset=upkeep.factor_reset.apply_at_sign_in,
        throttle=parts.throttle,
        audit=parts.audit,
        verified_only=parts.settings.registration.existing == "conceal",
    )
    enrolment = PasskeyEnrolment(
        database=parts.database,
        passkeys=given.new,
        challenges=tokens.challenges,
        clock=tokens.clock,
        sign_in=sign_in,
        issuer=tokens.issuer,
        revocations=tokens.revocations,
        rate_limits=parts.rate_limits,
        notices=upkeep.notices,
    )
    by_passkey = PasskeyStepUp(
        database=parts.database,
        verifier=given.verifier,
        proofs=given.proofs,
        challenges=tokens.challenges,
        clock=tokens.clock,
        step_up=step_up(parts),
        throttle=parts.throttle,
        audit=parts.audit,
    )
    return Passkeys(login, enrolment, by_passkey, PasswordRemoval(parts.database, parts.rate_limits, upkeep.notices))


def enrolment(parts: "Parts", sign_in: SignIn) -> Enrolment:
    tokens = parts.tokens
    return Enrolment(
        database=parts.database,
        secrets=tokens.secrets,
        codes=tokens.codes,
        sign_in=sign_in,
        issuer=tokens.issuer,
        revocations=tokens.revocations,
        throttle=parts.throttle,
        rate_limits=parts.rate_limits,
        audit=parts.audit,
        notices=parts.upkeep.notices,
        issuer_name=parts.settings.application_name,
    )


def login_enrolment(parts: "Parts", sign_in: SignIn) -> LoginEnrolment:
    tokens = parts.tokens
    return LoginEnrolment(
        database=parts.database,
        totp=AddTotp(tokens.challenges, tokens.secrets, parts.upkeep.notices, parts.settings.application_name),
        passkeys=parts.passkeys.new if parts.passkeys else None,
        factor_policy=tokens.factor_policy,
        challenges=tokens.challenges,
        clock=tokens.clock,
        sign_in=sign_in,
        revocations=tokens.revocations,
        throttle=parts.throttle,
        audit=parts.audit,
        notices=parts.upkeep.notices,
    )


def step_up(parts: "Parts") -> StepUp:
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
        factor_policy=parts.tokens.factor_policy,
    )
