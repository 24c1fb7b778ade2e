"""What a right password leads to where it is not enough: a challenge, with which the sign-in goes on."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from auth_service.errors import SecondFactorEnrolmentRequired, SecondFactorRequired
from auth_service.models import CredentialDescriptor, FactorKind, FactorPolicy, LoginAccount
from auth_service.repositories.retries import retried
from auth_service.security.tokens.challenges import LIFE, ChallengeCodec, ChallengePurpose, Passed
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.throttle import Throttler

if TYPE_CHECKING:
    from auth_service.security.factors.passkeys import PasskeyVerifier

_SECONDS = int(LIFE.total_seconds())


class Challenges:
    """There is a `verifier` of passkeys where they are configured; elsewhere accounts may have some all the same."""

    def __init__(
        self,
        codec: ChallengeCodec,
        throttle: Throttler,
        factor_policy: FactorPolicy,
        verifier: "PasskeyVerifier | None",
    ) -> None:
        self._codec = codec
        self._throttle = throttle
        self._factor_policy = factor_policy
        self._verifier = verifier

    async def ask_for_factor(
        self, account: LoginAccount, attempt: Attempt, replacement: str | None
    ) -> SecondFactorRequired:
        """Note that the password was right, and return what asks for the second factor. Nothing is written about the
        challenge.

        A `replacement` of the password's hash, if that is outdated, is stored: no later step sees the password.
        """
        methods, now = await self._note(account, attempt, replacement)
        challenge = self._issue(ChallengePurpose.SECOND_FACTOR, account, now)
        methods = self._taken(methods, account.role)
        public_key = None
        if self._verifier and FactorKind.PASSKEY in methods:
            public_key = self._verifier.request_options(challenge, await self._passkeys_of(account))
        return SecondFactorRequired(challenge, methods, _SECONDS, public_key)

    async def ask_for_enrolment(
        self, account: LoginAccount, attempt: Attempt, replacement: str | None
    ) -> SecondFactorEnrolmentRequired:
        """The same for an account that must have a factor and has none: return what asks to add one."""
        _, now = await self._note(account, attempt, replacement)
        challenge = self._issue(ChallengePurpose.ENROLMENT, account, now)
        wanted = FactorKind.PASSKEY if self._factor_policy.asks_for_passkey(account.role) else FactorKind.TOTP
        return SecondFactorEnrolmentRequired(challenge, [wanted], _SECONDS)

    def _taken(self, methods: Sequence[str], role: str) -> Sequence[str]:
        """Those of an account's methods that lead on: where a passkey must be had, that, or an app before it is."""
        found = [method for method in methods if self._verifier or method != FactorKind.PASSKEY]
        if not self._factor_policy.asks_for_passkey(role):
            return found
        return [FactorKind.PASSKEY] if FactorKind.PASSKEY in found else [m for m in found if m == FactorKind.TOTP]

    @retried
    async def _passkeys_of(self, account: LoginAccount) -> Sequence[CredentialDescriptor]:
        async with self._throttle.statement() as tx:
            factors = await tx.factors.list_of_user(account.id)
        return [factor.descriptor for factor in factors if factor.descriptor]

    @retried
    async def _note(
        self, account: LoginAccount, attempt: Attempt, replacement: str | None
    ) -> tuple[Sequence[str], datetime]:
        """Return the methods that the account has, and the time now."""
        async with self._throttle.statement() as tx:
            if success := attempt.success_in_part:
                await tx.throttles.succeed(success)
            if replacement:
                await tx.users.renew_hash(account, replacement)
            methods, now = await tx.factor_lookups.methods_of(account.id)  # last: SQLite lets no reader become a writer
        attempt.decided = True
        return methods, now

    def _issue(self, purpose: ChallengePurpose, account: LoginAccount, now: datetime) -> str:
        return self._codec.issue(purpose, account.id, account.credential_epoch, Passed.PASSWORD, now)
