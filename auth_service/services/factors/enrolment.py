"""How owners add an authenticator app to their account: it counts once a code confirms it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from auth_service.errors import InvalidSecondFactor, NoSuchFactor
from auth_service.models import (
    BY_CODE,
    ChangeKind,
    Device,
    FactorKind,
    MailKind,
    SecurityEvent,
    StopReason,
)
from auth_service.repositories.database import Database
from auth_service.repositories.factors.lookups import SealedTotp
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.security.factors.totp import (
    base32,
    new_totp_secret,
    otpauth_uri,
    read_totp_code,
    seal_totp_secret,
)
from auth_service.security.keys import SecretKeys
from auth_service.services.factors.factor_changes import (
    Confirmed,
    EnrolmentSecret,
    lock_owner,
    open_for_first_factor,
    renew_recovery_codes,
)
from auth_service.services.factors.stoppable_change import stop_changes
from auth_service.services.mail.notices import Notices
from auth_service.services.operations.audit import Audit
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.sessions.token_issuer import TokenIssuer, TokenPair
from auth_service.services.sessions.totp_codes import TotpCodes
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.rate_limits import RateLimits
from auth_service.services.throttling.throttle import Throttler


@dataclass(frozen=True)
class NewTotp(EnrolmentSecret):
    id: UUID


class Enrolment:
    """`issuer_name` is what apps call this service."""

    def __init__(
        self,
        *,
        database: Database,
        secrets: SecretKeys,
        codes: TotpCodes,
        sign_in: SignIn,
        issuer: TokenIssuer,
        revocations: Revocations,
        throttle: Throttler,
        rate_limits: RateLimits,
        audit: Audit,
        notices: Notices,
        issuer_name: str,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._codes = codes
        self._sign_in = sign_in
        self._issuer = issuer
        self._revocations = revocations
        self._throttle = throttle
        self._rate_limits = rate_limits
        self._audit = audit
        self._notices = notices
        self._issuer_name = issuer_name

    async def begin_totp(self, bearer: Bearer) -> NewTotp:
        """Make a TOTP that counts once a code confirms it, in place of one that waits for that already.

        Raises:
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: too much was changed.
        """
        await self._rate_limits.change("factors", bearer.user_id)
        return await self._begin_totp(bearer)

    @retried
    async def _begin_totp(self, bearer: Bearer) -> NewTotp:
        factor_id, secret = uuid7(), new_totp_secret()
        async with self._database.transaction() as tx:
            owner = await lock_owner(tx, bearer)
            await tx.factors.add_unconfirmed(owner.id, factor_id, *seal_totp_secret(secret, factor_id, self._secrets))
        return NewTotp(base32(secret), otpauth_uri(secret, self._issuer_name, owner.email), factor_id)

    async def confirm_totp(
        self, bearer: Bearer, factor_id: UUID, code: str, device: Device
    ) -> tuple[Sequence[str], TokenPair | None]:
        """Let a TOTP count, in place of the one before; return new recovery codes, and for the first factor of the
        account the tokens of a new session: every session from before has ended then.

        There are no new codes if the account has some already: those that somebody wrote down stay good.

        Raises:
            NoSuchFactor: none waits under this id, any more.
            InvalidSecondFactor: the code is wrong.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: codes of this session were wrong too often.
            Unavailable: no access token could be signed, or the secret of the app cannot be opened: nothing is changed.
        """
        async with self._throttle.enrolment(bearer.user_id, device.ip, bearer.session_id) as attempt:
            await self._issuer.ensure_ready()  # no session is opened that could not be answered
            confirmed = await self._confirm(bearer, factor_id, code, device, attempt)
            if confirmed is None:
                await self._audit.record(SecurityEvent.FACTOR_CODE_REFUSED, bearer.user_id)
                raise InvalidSecondFactor("The code is wrong or was used before.")
        self._revocations.add(confirmed.ended)
        return confirmed.recovery_codes, await confirmed.tokens() if confirmed.tokens else None

    @retried
    async def _confirm(
        self, bearer: Bearer, factor_id: UUID, code: str, device: Device, attempt: Attempt
    ) -> Confirmed | None:
        async with self._database.transaction() as tx:
            owner = await lock_owner(tx, bearer)
            step = await self._step_of(tx, owner.id, factor_id, code)
            if step is None:
                return None
            factors = await tx.factors.list_of_user(owner.id)
            is_replaced = any(factor.kind == FactorKind.TOTP for factor in factors)
            event = SecurityEvent.FACTOR_REPLACED if is_replaced else SecurityEvent.FACTOR_ADDED
            await tx.factors.confirm(owner.id, factor_id, step, event)
            await attempt.succeed(tx)
            await self._notices.notify(tx, MailKind.FACTOR_ADDED, owner.id)
            if factors:
                await stop_changes(tx, owner.id, StopReason.OTHER_CHANGE, ChangeKind.FACTORS)  # they are not lost
                some_left = await tx.factors.count_recovery_codes(owner.id)
                return Confirmed(() if some_left else await renew_recovery_codes(tx, owner.id))
            return await open_for_first_factor(
                tx, owner, bearer.session_id, proved=BY_CODE, device=device, sign_in=self._sign_in
            )

    async def _step_of(self, tx: Transaction, owner_id: UUID, factor_id: UUID, code: str) -> int | None:
        """The step that a code of a waiting TOTP is of; None for a wrong one. Raises `NoSuchFactor`."""
        found = await tx.factors.find_unconfirmed(owner_id, factor_id)
        if found is None:
            raise NoSuchFactor
        factor, now = found
        sealed = SealedTotp(factor.id, factor.secret or b"", factor.secret_id or "")
        return self._codes.step_of(sealed, read_totp_code(code), now)
