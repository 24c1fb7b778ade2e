"""The use cases of second factors and passkeys, plugged together."""

from typing import TYPE_CHECKING

from auth_service.security.webauthn import RelyingParty
from auth_service.services.factors.enrolment import Enrolment
from auth_service.services.factors.factor_sign_in import FactorSignIn
from auth_service.services.factors.login_enrolment import LoginEnrolment
from auth_service.services.factors.passkey_enrolment import NewPasskeys, PasskeyEnrolment
from auth_service.services.factors.passkey_login import PasskeyLogin
from auth_service.services.factors.passkey_proofs import PasskeyProofs
from auth_service.services.factors.second_factor import SecondFactor
from auth_service.services.services import Passkeys
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.sessions.step_up import StepUp

if TYPE_CHECKING:
    from auth_service.parts import Parts


def second_factor(parts: "Parts", sign_in: SignIn) -> SecondFactor:
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


def _factor_sign_in(parts: "Parts", sign_in: SignIn) -> FactorSignIn:
    return FactorSignIn(parts.database, sign_in, parts.upkeep.notices)


def passkeys(parts: "Parts", sign_in: SignIn) -> Passkeys:
    """fido2 is imported here, before anything is served: without passkeys it is not needed."""
    from auth_service.security.passkeys import PasskeyVerifier  # noqa: PLC0415

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
        audit=parts.audit,
        notices=parts.upkeep.notices,
        issuer_name=parts.settings.mail_name,
    )


def login_enrolment(parts: "Parts", sign_in: SignIn) -> LoginEnrolment:
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
    )
