"""A login that adds the factor which the account must have, and has not: nothing else is open to its challenge."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from auth_service.errors import FactorExists, InvalidChallenge, InvalidSecondFactor
from auth_service.models import (
    Device,
    EndReason,
    FactorKind,
    FactorPolicy,
    FactorView,
    LoginAccount,
    SecurityEvent,
    User,
)
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.security.tokens.challenges import Challenge, ChallengeCodec, ChallengePurpose, Passed
from auth_service.services.factors.factor_changes import EnrolmentSecret, end_sessions, renew_recovery_codes
from auth_service.services.factors.login_factors import AddFactor, AddPasskey, AddTotp, PasskeyRequest
from auth_service.services.factors.passkey_enrolment import Attestation, NewPasskeys
from auth_service.services.mail.notices import Notices
from auth_service.services.operations.audit import Audit
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.sign_in import OpenedSession, SignIn
from auth_service.services.sessions.token_issuer import TokenPair
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.throttle import Throttler


@dataclass(frozen=True)
class Enrolled:
    """The session that a new factor has opened, of the account as it is now, and what ended for it."""

    account: LoginAccount
    opened: OpenedSession
    recovery_codes: Sequence[str] = field(repr=False)
    ended: Sequence[UUID]


class LoginEnrolment:
    """`passkeys` are there where they are configured."""

    def __init__(
        self,
        *,
        database: Database,
        totp: AddTotp,
        passkeys: NewPasskeys | None,
        factor_policy: FactorPolicy,
        challenges: ChallengeCodec,
        clock: DatabaseClock,
        sign_in: SignIn,
        revocations: Revocations,
        throttle: Throttler,
        audit: Audit,
        notices: Notices,
    ) -> None:
        self._database = database
        self._totp = totp
        self._passkeys = passkeys
        self._factor_policy = factor_policy
        self._challenges = challenges
        self._clock = clock
        self._sign_in = sign_in
        self._revocations = revocations
        self._throttle = throttle
        self._audit = audit
        self._notices = notices

    async def begin(self, challenge: str) -> EnrolmentSecret | PasskeyRequest:
        """Return the secret of a challenge, or what asks for a passkey where the role must have one: the same however
        often; nothing is written.

        Raises:
            InvalidSecondFactor: the challenge is none of this purpose, or is good no more.
        """
        found = self._read(challenge)
        async with self._database.statement() as tx:
            user = await tx.users.find_user(found.user_id)
            factors = await tx.factors.list_of_user(found.user_id)
        kind = self._kind_for(user, found, factors)
        if user is None or kind is None:
            raise InvalidSecondFactor
        if kind is FactorKind.PASSKEY and self._passkeys:
            return PasskeyRequest(self._passkeys.options(user, challenge, found, factors))
        return self._totp.begin(user, found)

    async def confirm(self, challenge: str, code: str, device: Device) -> tuple[Sequence[str], TokenPair]:
        """Add an app, and open a session for whoever knows a code of it, as the challenge says of the password; return
        the recovery codes, and the tokens. Every session from before ends.

        Raises:
            InvalidSecondFactor: for whatever is wrong with challenge or code alike.
            TooManyAttempts: codes for this account were wrong too often.
            Unavailable: no access token could be signed, so nothing is changed.
        """
        return await self._confirm(challenge, replace(self._totp, code=code), device)

    async def confirm_passkey(
        self, attestation: Attestation, name: str | None, device: Device
    ) -> tuple[Sequence[str], TokenPair]:
        """The same for a passkey. There are no recovery codes if the account has some already."""
        if self._passkeys is None:
            raise InvalidSecondFactor
        adding = AddPasskey(self._passkeys, self._notices, attestation, name)
        return await self._confirm(attestation.challenge, adding, device)

    async def _confirm(self, challenge: str, add: AddFactor, device: Device) -> tuple[Sequence[str], TokenPair]:
        found = self._read(challenge)
        async with self._throttle.enrolment(found.user_id, device.ip) as attempt:
            await self._sign_in.ensure_ready()
            try:
                enrolled = await self._enrol(found, add, device, attempt)
            except (InvalidChallenge, FactorExists, InvalidSecondFactor):
                await self._audit.record(SecurityEvent.FACTOR_CODE_REFUSED, found.user_id)
                raise InvalidSecondFactor from None
            self._revocations.add(enrolled.ended)
            tokens = await self._sign_in.finish(enrolled.opened, enrolled.account, device)
        return enrolled.recovery_codes, tokens

    def _read(self, challenge: str) -> Challenge:
        found = self._challenges.read(challenge, ChallengePurpose.ENROLMENT)
        if found is None or found.is_over(self._clock.now()):
            raise InvalidSecondFactor
        return found

    def _kind_for(self, user: User | None, challenge: Challenge, factors: Sequence[FactorView]) -> FactorKind | None:
        """What a user with these factors adds by a challenge; None if nothing, or it is of credentials of before.

        Who has an app and must have a passkey has given a code of it before.
        """
        if user is None or not user.is_active or user.credential_epoch != challenge.credential_epoch:
            return None
        if not self._factor_policy.asks_for_passkey(user.role):
            return None if factors else FactorKind.TOTP  # recovery codes without a factor sign nobody in
        has_one = any(factor.kind == FactorKind.PASSKEY for factor in factors)
        is_proved = not factors or Passed.CODE in challenge.passed
        return FactorKind.PASSKEY if is_proved and not has_one else None

    @retried
    async def _enrol(self, challenge: Challenge, add: AddFactor, device: Device, attempt: Attempt) -> Enrolled:
        """Do all of it in one transaction, whose first lock is the user's; raises if anything is wrong."""
        async with self._database.transaction() as tx:
            user = await tx.users.lock(challenge.user_id)
            factors = await tx.factors.list_of_user(challenge.user_id)
            if user is None or self._kind_for(user, challenge, factors) is not add.kind:
                raise InvalidSecondFactor
            if not await tx.factor_proofs.spend_challenge(challenge.digest, challenge.good_until):
                raise InvalidSecondFactor
            proved = await add(tx, user, challenge, factors)
            if proved is None:
                raise InvalidSecondFactor
            codes = await self._codes_beside(tx, user, factors)
            account, ended = await end_sessions(tx, user, EndReason.FACTOR_ADDED)
            opened = await self._sign_in.open(tx, account, proved, device, attempt)
        return Enrolled(account, opened, codes, ended)

    async def _codes_beside(self, tx: Transaction, user: User, factors: Sequence[FactorView]) -> Sequence[str]:
        if factors and await tx.factors.count_recovery_codes(user.id):
            return ()  # those that somebody wrote down stay good
        return await renew_recovery_codes(tx, user.id)
