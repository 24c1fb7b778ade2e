"""A sign-in with a passkey alone: no name is asked for, since the authenticator knows it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from auth_service.errors import InvalidCredentials
from auth_service.models import Device, LoginAccount, SecurityEvent, by_passkey
from auth_service.repositories.factors.lookups import FoundPasskey
from auth_service.security.tokens.challenges import LIFE, Challenge, ChallengeCodec, ChallengePurpose, Passed
from auth_service.services.factors.factor_sign_in import FactorSignIn
from auth_service.services.factors.passkey_proofs import Assertion, InvalidPasskey, PasskeyProofs, UnknownPasskey
from auth_service.services.operations.audit import Audit
from auth_service.services.sessions.login_outcomes import LoginOutcome, counted
from auth_service.services.sessions.token_issuer import TokenPair
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.throttle import Throttler

if TYPE_CHECKING:
    from auth_service.security.factors.passkeys import PasskeyVerifier

NOBODY = UUID(int=0)


@dataclass(frozen=True)
class PasskeyOptions:
    """What a page passes on to its browser, and the challenge that it sends back. `expires_in` is in seconds."""

    challenge: str = field(repr=False)
    public_key: dict[str, Any] = field(repr=False)
    expires_in: int = int(LIFE.total_seconds())


class PasskeyLogin:
    """`apply_due_reset` and `verified_only` are as in `Login`."""

    def __init__(
        self,
        *,
        verifier: "PasskeyVerifier",
        proofs: PasskeyProofs,
        challenges: ChallengeCodec,
        clock: DatabaseClock,
        sign_in: FactorSignIn,
        apply_due_reset: Callable[[LoginAccount], Awaitable[LoginAccount]],
        throttle: Throttler,
        audit: Audit,
        verified_only: bool,
    ) -> None:
        self._verifier = verifier
        self._proofs = proofs
        self._challenges = challenges
        self._clock = clock
        self._sign_in = sign_in
        self._apply_due_reset = apply_due_reset
        self._throttle = throttle
        self._audit = audit
        self._verified_only = verified_only
        self.outcomes: Counter[LoginOutcome] = Counter()

    def options(self) -> PasskeyOptions:
        """Return what every browser is asked alike. Nothing is written or looked up."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        challenge = self._challenges.issue(ChallengePurpose.PASSKEY_LOGIN, NOBODY, 0, Passed.NOTHING, now)
        return PasskeyOptions(challenge, self._verifier.request_options(challenge))

    async def login(self, assertion: Assertion, device: Device) -> TokenPair:
        """Open a session for whoever holds a passkey and was verified by it.

        Raises:
            InvalidCredentials: for whatever is wrong alike, but for a passkey that is not known.
            TooManyAttempts: too many were refused from this IP address, and this one too; or the account was signed in
                to too often.
            Unavailable: no access token could be signed.
        """
        with counted(self.outcomes):
            return await self._log_in(assertion, device)

    async def _log_in(self, assertion: Assertion, device: Device) -> TokenPair:
        """What is refused is counted first: whoever is to wait writes nothing into the trail."""
        found: FoundPasskey | None = None
        try:
            challenge = self._challenges.read(assertion.challenge, ChallengePurpose.PASSKEY_LOGIN)
            if challenge is None or challenge.is_over(self._clock.now()) or assertion.user_handle is None:
                raise InvalidPasskey
            found = await self._proofs.find(assertion)
            return await self._prove(found, assertion, challenge, device)
        except UnknownPasskey:
            await self._throttle.refused_passkey(device.ip)
            raise
        except InvalidCredentials:
            await self._throttle.refused_passkey(device.ip)
            if found:
                await self._audit.record(SecurityEvent.LOGIN_FAILED, found.account.id)
            raise InvalidPasskey from None

    async def _prove(
        self, found: FoundPasskey, assertion: Assertion, challenge: Challenge, device: Device
    ) -> TokenPair:
        account = found.account
        proof = await self._proofs.check(assertion, challenge, found.record)
        if not account.is_active or (self._verified_only and not account.is_verified):
            raise InvalidPasskey
        if account.awaits_reset and (await self._apply_due_reset(account)).credential_epoch != account.credential_epoch:
            raise InvalidPasskey  # the passkey is gone
        self._throttle.right_passkey(account.id)
        authentication = by_passkey(is_device_bound=proof.is_device_bound)
        return await self._sign_in.sign_in(account, proof, authentication, device, Attempt())
