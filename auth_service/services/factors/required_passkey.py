"""Where everybody of a role must have a passkey: a code of an app leads to no tokens, but to the adding of one."""

from auth_service.errors import InvalidSecondFactor, SecondFactorEnrolmentRequired
from auth_service.models import ChangeKind, FactorKind, FactorPolicy, LoginAccount, StopReason
from auth_service.repositories.database import Database
from auth_service.repositories.factors.proofs import TotpProof
from auth_service.repositories.retries import retried
from auth_service.security.tokens.challenges import LIFE, Challenge, ChallengeCodec, ChallengePurpose, Passed
from auth_service.services.factors.stoppable_change import stop_changes
from auth_service.services.throttling.attempt import Attempt


class RequiredPasskey:
    def __init__(self, database: Database, challenges: ChallengeCodec, factor_policy: FactorPolicy) -> None:
        self._database = database
        self._challenges = challenges
        self._factor_policy = factor_policy

    def is_asked_of(self, account: LoginAccount) -> bool:
        """Whether no session of this account is opened without a passkey."""
        return self._factor_policy.asks_for_passkey(account.role)

    async def after_code(
        self, challenge: Challenge, proof: TotpProof, attempt: Attempt
    ) -> SecondFactorEnrolmentRequired:
        """Use a right code and its challenge up, and return what asks to add a passkey.

        Raises:
            InvalidSecondFactor: the account has a passkey, and no code will do; or is not as it was any more, or one of
                the two was used up before.
        """
        asked = await self._use_up(challenge, proof, attempt)
        attempt.decided = True
        return SecondFactorEnrolmentRequired(asked, [FactorKind.PASSKEY], int(LIFE.total_seconds()))

    @retried
    async def _use_up(self, challenge: Challenge, proof: TotpProof, attempt: Attempt) -> str:
        async with self._database.transaction() as tx:
            user = await tx.users.lock(challenge.user_id)
            if user is None or not user.is_active or user.credential_epoch != challenge.credential_epoch:
                raise InvalidSecondFactor
            if any(factor.kind == FactorKind.PASSKEY for factor in await tx.factors.list_of_user(user.id)):
                raise InvalidSecondFactor
            if not await tx.factor_proofs.spend_step(user.id, proof.factor_id, proof.step):
                raise InvalidSecondFactor
            if not await tx.factor_proofs.spend_challenge(proof.challenge, proof.good_until):
                raise InvalidSecondFactor
            await stop_changes(tx, user.id, StopReason.SIGN_IN, ChangeKind.FACTORS)  # they are not lost
            if success := attempt.success_in_part:
                await tx.throttles.succeed(success)
            _, now = await tx.factor_lookups.methods_of(user.id)
        passed = Passed.PASSWORD | Passed.CODE
        return self._challenges.issue(ChallengePurpose.ENROLMENT, user.id, user.credential_epoch, passed, now)
