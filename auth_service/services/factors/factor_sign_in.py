"""The session of whoever has proved a factor, and what that leads to beside it."""

from auth_service.models import Authentication, ChangeKind, Device, LoginAccount, StopReason
from auth_service.repositories.database import Database
from auth_service.repositories.factors.proofs import Proof, RecoveryProof
from auth_service.repositories.retries import retried
from auth_service.services.factors.stoppable_change import stop_changes
from auth_service.services.mail.notices import Notices
from auth_service.services.sessions.sign_in import OpenedSession, SignIn
from auth_service.services.sessions.token_issuer import TokenPair
from auth_service.services.throttling.attempt import Attempt


class FactorSignIn:
    def __init__(self, database: Database, sign_in: SignIn, notices: Notices) -> None:
        self._database = database
        self._sign_in = sign_in
        self._notices = notices

    async def sign_in(
        self, account: LoginAccount, proof: Proof, authentication: Authentication, device: Device, attempt: Attempt
    ) -> TokenPair:
        """As `SignIn.sign_in()`, whose errors it raises. Factors that are proved are not lost: a reset is stopped."""
        if not account.awaits_reset and not isinstance(proof, RecoveryProof):
            return await self._sign_in.sign_in(account, authentication, device, attempt, proof=proof)
        await self._sign_in.ensure_ready()
        opened = await self._open(account, proof, authentication, device, attempt)
        return await self._sign_in.finish(opened, account, device)

    @retried
    async def _open(
        self, account: LoginAccount, proof: Proof, authentication: Authentication, device: Device, attempt: Attempt
    ) -> OpenedSession:
        """After a recovery code, the owner is told how many are left: somebody else may have found them."""
        async with self._database.transaction() as tx:
            opened = await self._sign_in.open(tx, account, authentication, device, attempt, proof=proof)
            await stop_changes(tx, account.id, StopReason.SIGN_IN, ChangeKind.FACTORS)
            if isinstance(proof, RecoveryProof):
                await self._notices.recovery_code_used(tx, account.id)
        return opened
