"""What a right password leads to where it is not enough: a challenge, with which the sign-in goes on."""

from collections.abc import Sequence
from datetime import datetime

from auth_service.errors import SecondFactorEnrolmentRequired, SecondFactorRequired
from auth_service.models import FactorKind, LoginAccount
from auth_service.repositories.transaction import retried
from auth_service.security.challenges import LIFE, ChallengeCodec, ChallengePurpose, Passed
from auth_service.services.throttling.attempts import Attempt
from auth_service.services.throttling.throttle import Throttler

_SECONDS = int(LIFE.total_seconds())


class Challenges:
    def __init__(self, codec: ChallengeCodec, throttle: Throttler) -> None:
        self._codec = codec
        self._throttle = throttle

    async def ask_for_factor(
        self, account: LoginAccount, attempt: Attempt, replacement: str | None
    ) -> SecondFactorRequired:
        """Note that the password was right, and return what asks for the second factor. Nothing is written about the
        challenge.

        A `replacement` of the password's hash, if that is outdated, is stored: no later step sees the password.
        """
        methods, now = await self._note(account, attempt, replacement)
        return SecondFactorRequired(self._issue(ChallengePurpose.SECOND_FACTOR, account, now), methods, _SECONDS)

    async def ask_for_enrolment(
        self, account: LoginAccount, attempt: Attempt, replacement: str | None
    ) -> SecondFactorEnrolmentRequired:
        """The same for an account that must have a factor and has none: return what asks to add one."""
        _, now = await self._note(account, attempt, replacement)
        challenge = self._issue(ChallengePurpose.ENROLMENT, account, now)
        return SecondFactorEnrolmentRequired(challenge, [FactorKind.TOTP], _SECONDS)

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
            methods, now = await tx.factor_proofs.methods_of(account.id)  # last: SQLite lets no reader become a writer
        attempt.decided = True
        return methods, now

    def _issue(self, purpose: ChallengePurpose, account: LoginAccount, now: datetime) -> str:
        return self._codec.issue(purpose, account.id, account.credential_epoch, Passed.PASSWORD, now)
