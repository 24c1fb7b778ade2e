"""How owners see and remove their second factors, and get recovery codes."""

from collections.abc import Sequence
from uuid import UUID

from auth_service.errors import LastCredential, NoSuchFactor
from auth_service.models import (
    UNUSABLE,
    ChangeKind,
    FactorKind,
    FactorPolicy,
    FactorView,
    MailKind,
    SecurityEvent,
    StopReason,
)
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.services.factors.factor_changes import lock_owner, renew_recovery_codes
from auth_service.services.factors.stoppable_change import stop_changes
from auth_service.services.mail.notices import Notices
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.throttling.rate_limits import RateLimits


class OwnFactors:
    def __init__(
        self, database: Database, rate_limits: RateLimits, notices: Notices, factor_policy: FactorPolicy
    ) -> None:
        self._database = database
        self._rate_limits = rate_limits
        self._notices = notices
        self._factor_policy = factor_policy

    async def list_factors(self, bearer: Bearer) -> tuple[Sequence[FactorView], int]:
        """Return the bearer's factors, and how many recovery codes are left."""
        async with self._database.statement() as tx:
            return await tx.factors.list_of_user(bearer.user_id), await tx.factors.count_recovery_codes(bearer.user_id)

    async def renew_recovery_codes(self, bearer: Bearer) -> Sequence[str]:
        """Return ten new recovery codes: those from before are good no more.

        Raises:
            NoSuchFactor: the account has no factor that they could stand in for.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: too much was changed.
        """
        await self._rate_limits.change("factors", bearer.user_id)
        return await self._renew(bearer)

    @retried
    async def _renew(self, bearer: Bearer) -> Sequence[str]:
        async with self._database.transaction() as tx:
            owner = await lock_owner(tx, bearer)
            if not await tx.factors.list_of_user(owner.id):
                raise NoSuchFactor("The account has no second factor, so it needs no recovery codes.")
            codes = await renew_recovery_codes(tx, owner.id)
            await tx.audit.add(SecurityEvent.RECOVERY_CODES_RENEWED, owner.id)
            await self._notices.notify(tx, MailKind.RECOVERY_CODES_RENEWED, owner.id)
            return codes

    async def remove(self, bearer: Bearer, factor_id: UUID) -> None:
        """Remove a factor; with the last one go the recovery codes.

        Raises:
            NoSuchFactor: unknown, another user's, or not confirmed.
            LastCredential: it is the last one, or the last passkey, and the bearer's role must have one; or the last
                passkey of an account without a password.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: too much was changed.
        """
        await self._rate_limits.change("factors", bearer.user_id)
        await self._remove(bearer, factor_id)

    @retried
    async def _remove(self, bearer: Bearer, factor_id: UUID) -> None:
        async with self._database.transaction() as tx:
            owner = await lock_owner(tx, bearer)
            factors = await tx.factors.list_of_user(owner.id)
            removed = next((factor for factor in factors if factor.id == factor_id), None)
            if removed is None:
                raise NoSuchFactor
            is_last_passkey = [factor.id for factor in factors if factor.kind == FactorKind.PASSKEY] == [removed.id]
            if is_last_passkey and self._factor_policy.asks_for_passkey(owner.role):
                raise LastCredential("The role of the account must have a passkey. Add another one before.")
            if is_last_passkey and owner.hashed_password == UNUSABLE:
                raise LastCredential("The account has no password. Add another passkey before, or set a password.")
            is_last = len(factors) == 1
            if is_last and self._factor_policy.asks(owner.role):
                raise LastCredential
            await tx.factors.remove(owner.id, removed.id, removed.kind)
            if is_last:
                await tx.factors.set_recovery_codes(owner.id, ())
                await stop_changes(tx, owner.id, StopReason.OTHER_CHANGE, ChangeKind.FACTORS)
            kind, left = FactorKind(removed.kind), len(factors) - 1
            await self._notices.notify(tx, MailKind.FACTOR_REMOVED, owner.id, factor=kind, factors_left=left)
