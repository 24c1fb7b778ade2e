"""An owner with passkeys gives the password up, which others could guess or be told: passkeys alone sign in then."""

from auth_service.errors import LastCredential
from auth_service.models import UNUSABLE, FactorKind, LinkPurpose, MailKind
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.services.factors.factor_changes import lock_owner
from auth_service.services.mail.notices import Notices
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.throttling.rate_limits import RateLimits

LEAST_PASSKEYS = 2  # one may be lost, and then there is another


class PasswordRemoval:
    def __init__(self, database: Database, rate_limits: RateLimits, notices: Notices) -> None:
        self._database = database
        self._rate_limits = rate_limits
        self._notices = notices

    async def remove(self, bearer: Bearer) -> None:
        """Let no password open the bearer's account any more; nothing is done if none does. Its sessions go on, and
        links to reset the password are taken back.

        Raises:
            LastCredential: the account has fewer than two passkeys.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: too much was changed.
        """
        await self._rate_limits.change("password", bearer.user_id)
        await self._remove(bearer)

    @retried
    async def _remove(self, bearer: Bearer) -> None:
        async with self._database.transaction() as tx:
            owner = await lock_owner(tx, bearer)
            if owner.hashed_password == UNUSABLE:
                return
            factors = await tx.factors.list_of_user(owner.id)
            if sum(factor.kind == FactorKind.PASSKEY for factor in factors) < LEAST_PASSKEYS:
                raise LastCredential("An account without a password needs two passkeys. Add another one before.")
            await tx.users.remove_password(owner.id, UNUSABLE)
            await tx.link_uses.withdraw(owner, LinkPurpose.RESET_PASSWORD)
            await self._notices.notify(tx, MailKind.PASSWORD_REMOVED, owner.id)
