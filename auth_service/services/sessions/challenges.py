"""What a right password leads to where it is not enough: a challenge, with which the sign-in goes on."""

from auth_service.errors import SecondFactorRequired
from auth_service.models import LoginAccount
from auth_service.repositories.transaction import retried
from auth_service.security.challenges import LIFE, ChallengeCodec, ChallengePurpose, Passed
from auth_service.services.throttling.attempts import Attempt
from auth_service.services.throttling.throttle import Throttler


class Challenges:
    def __init__(self, codec: ChallengeCodec, throttle: Throttler) -> None:
        self._codec = codec
        self._throttle = throttle

    @retried
    async def ask_for_factor(
        self, account: LoginAccount, attempt: Attempt, replacement: str | None
    ) -> SecondFactorRequired:
        """Note that the password was right, and return what asks for the second factor. Nothing is written about the
        challenge.

        A `replacement` of the password's hash, if that is outdated, is stored: no later step sees the password.
        """
        async with self._throttle.statement() as tx:
            if success := attempt.success_in_part:
                await tx.throttles.succeed(success)
            if replacement:
                await tx.users.renew_hash(account, replacement)
            methods, now = await tx.factor_proofs.methods_of(account.id)  # last: SQLite lets no reader become a writer
        attempt.decided = True
        challenge = self._codec.issue(
            ChallengePurpose.SECOND_FACTOR, account.id, account.credential_epoch, Passed.PASSWORD, now
        )
        return SecondFactorRequired(challenge, methods, int(LIFE.total_seconds()))
