"""A step-up with a passkey: whoever holds a session proves again who it is."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from auth_service.errors import InvalidAccessToken, InvalidCredentials, InvalidSecondFactor, NoSuchFactor
from auth_service.models import SecurityEvent, User, by_passkey
from auth_service.repositories.database import Database
from auth_service.repositories.factors.proofs import PasskeyProof
from auth_service.repositories.transaction import Transaction
from auth_service.security.tokens.access_tokens import IssuedToken
from auth_service.security.tokens.challenges import Challenge, ChallengeCodec, ChallengePurpose, Passed
from auth_service.services.factors.passkey_login import PasskeyOptions
from auth_service.services.factors.passkey_proofs import Assertion, PasskeyProofs
from auth_service.services.operations.audit import Audit
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.step_up import StepUp
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.throttling.throttle import Throttler

if TYPE_CHECKING:
    from auth_service.security.factors.passkeys import PasskeyVerifier


class PasskeyStepUp:
    def __init__(
        self,
        *,
        database: Database,
        verifier: "PasskeyVerifier",
        proofs: PasskeyProofs,
        challenges: ChallengeCodec,
        clock: DatabaseClock,
        step_up: StepUp,
        throttle: Throttler,
        audit: Audit,
    ) -> None:
        self._database = database
        self._verifier = verifier
        self._proofs = proofs
        self._challenges = challenges
        self._clock = clock
        self._step_up = step_up
        self._throttle = throttle
        self._audit = audit

    async def options(self, bearer: Bearer) -> PasskeyOptions:
        """Return what makes a browser sign with a passkey of the bearer's account; nothing is written.

        Raises:
            InvalidAccessToken: the bearer's session has ended in the meantime.
            NoSuchFactor: the account has no passkey.
        """
        async with self._database.statement() as tx:
            owner = await tx.users.find_by_session(bearer.user_id, bearer.session_id)
            factors = await tx.factors.list_of_user(bearer.user_id)
        if owner is None:
            raise InvalidAccessToken
        passkeys = [factor.descriptor for factor in factors if factor.descriptor]
        if not passkeys:
            raise NoSuchFactor("The account has no passkey.")
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        purpose, epoch = ChallengePurpose.STEP_UP, owner.credential_epoch
        challenge = self._challenges.issue(purpose, owner.id, epoch, Passed.NOTHING, now)
        return PasskeyOptions(challenge, self._verifier.request_options(challenge, passkeys))

    async def prove(self, bearer: Bearer, assertion: Assertion) -> IssuedToken:
        """Return an access token of the bearer's session for a signature by a passkey of the account; signature and
        challenge are used up.

        Raises:
            InvalidSecondFactor: for whatever is wrong with either of them alike.
            TooManyAttempts: too many were refused in this session, and this one too; or too many were right.
            InvalidAccessToken, Unavailable: as `StepUp.prove()` has them.
        """
        challenge = self._read(bearer, assertion)
        await self._step_up.ensure_ready()
        try:
            async with self._throttle.step_up_passkey(bearer.user_id, bearer.session_id) as attempt:
                proof = await self._proofs.of_user(bearer.user_id, assertion, challenge)
                self._throttle.right_passkey(bearer.user_id)

                async def use(tx: Transaction, user: User) -> bool:
                    return user.credential_epoch == challenge.credential_epoch and await _use_up(tx, user, proof)

                proved = by_passkey(is_device_bound=proof.is_device_bound)
                return await self._step_up.finish(bearer, proved, attempt, use)
        except InvalidCredentials:
            await self._audit.record(SecurityEvent.FACTOR_CODE_REFUSED, bearer.user_id, bearer.session_id)
            raise InvalidSecondFactor("The passkey was refused, or it took too long: try again.") from None

    def _read(self, bearer: Bearer, assertion: Assertion) -> Challenge:
        read = self._challenges.read(assertion.challenge, ChallengePurpose.STEP_UP)
        if read is None or read.user_id != bearer.user_id or read.is_over(self._clock.now()):
            raise InvalidSecondFactor
        return read


async def _use_up(tx: Transaction, user: User, proof: PasskeyProof) -> bool:
    proofs = tx.factor_proofs
    return await proofs.spend_signature(user.id, proof) and await proofs.spend_challenge(
        proof.challenge, proof.good_until
    )
