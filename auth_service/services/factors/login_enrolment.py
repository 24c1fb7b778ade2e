"""A login that adds the second factor which the account must have, and has not: nothing else is open to its challenge.

The secret follows from the challenge, so that to ask twice gives the same, and nothing is stored before a code of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from uuid_utils.compat import uuid7

from auth_service.errors import InvalidSecondFactor
from auth_service.models import BY_CODE, Device, EndReason, LoginAccount, MailKind, SecurityEvent
from auth_service.repositories.transaction import Database, retried
from auth_service.security.challenges import Challenge, ChallengeCodec, ChallengePurpose
from auth_service.security.keys import SecretKeys
from auth_service.security.totp import SECRET_BYTES, base32, find_step, otpauth_uri, read_totp_code, seal_totp_secret
from auth_service.services.factors.factor_changes import EnrolmentSecret, end_sessions, renew_recovery_codes
from auth_service.services.mail.notices import Notices
from auth_service.services.operations.audit import Audit
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.sign_in import OpenedSession, SignIn
from auth_service.services.sessions.token_issuer import TokenPair
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.throttling.attempts import Attempt
from auth_service.services.throttling.throttle import Throttler


@dataclass(frozen=True)
class Enrolled:
    """The session that a new factor has opened, of the account as it is now, and what ended for it."""

    account: LoginAccount
    opened: OpenedSession
    recovery_codes: Sequence[str] = field(repr=False)
    ended: Sequence[UUID]


class LoginEnrolment:
    """`issuer_name` is what apps call this service."""

    def __init__(
        self,
        *,
        database: Database,
        secrets: SecretKeys,
        challenges: ChallengeCodec,
        clock: DatabaseClock,
        sign_in: SignIn,
        revocations: Revocations,
        throttle: Throttler,
        audit: Audit,
        notices: Notices,
        issuer_name: str,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._challenges = challenges
        self._clock = clock
        self._sign_in = sign_in
        self._revocations = revocations
        self._throttle = throttle
        self._audit = audit
        self._notices = notices
        self._issuer_name = issuer_name

    async def begin(self, challenge: str) -> EnrolmentSecret:
        """Return the secret of a challenge, the same however often; nothing is written.

        Raises:
            InvalidSecondFactor: the challenge is none of this purpose, or is good no more.
        """
        found = self._read(challenge)
        async with self._database.statement() as tx:
            user = await tx.users.find_user(found.user_id)
            has_factor = await tx.factors.list_of_user(found.user_id)
        if user is None or not user.is_active or user.credential_epoch != found.credential_epoch or has_factor:
            raise InvalidSecondFactor
        secret = self._challenges.secret_of(found, SECRET_BYTES)
        return EnrolmentSecret(base32(secret), otpauth_uri(secret, self._issuer_name, user.email))

    async def confirm(self, challenge: str, code: str, device: Device) -> tuple[Sequence[str], TokenPair]:
        """Add the factor, and open a session for whoever knows a code of it, as the challenge says of the password;
        return the recovery codes, and the tokens. Every session from before ends.

        Raises:
            InvalidSecondFactor: for whatever is wrong with challenge or code alike.
            TooManyAttempts: codes for this account were wrong too often.
            Unavailable: no access token could be signed, so nothing is changed.
        """
        found = self._read(challenge)
        async with self._throttle.enrolment(found.user_id, device.ip) as attempt:
            await self._sign_in.ensure_ready()
            enrolled = await self._enrol(found, read_totp_code(code), device, attempt)
            if enrolled is None:
                await self._audit.record(SecurityEvent.FACTOR_CODE_REFUSED, found.user_id)
                raise InvalidSecondFactor
            self._revocations.add(enrolled.ended)
            tokens = await self._sign_in.finish(enrolled.opened, enrolled.account, device)
        return enrolled.recovery_codes, tokens

    def _read(self, challenge: str) -> Challenge:
        found = self._challenges.read(challenge, ChallengePurpose.ENROLMENT)
        if found is None or found.is_over(self._clock.now()):
            raise InvalidSecondFactor
        return found

    @retried
    async def _enrol(
        self, challenge: Challenge, digits: str | None, device: Device, attempt: Attempt
    ) -> Enrolled | None:
        """Do all of it in one transaction, whose first lock is the user's; None if anything is wrong."""
        async with self._database.transaction() as tx:
            user = await tx.users.lock(challenge.user_id)
            if user is None or not user.is_active or user.credential_epoch != challenge.credential_epoch:
                return None
            has_factor = await tx.factors.list_of_user(user.id)  # recovery codes without one sign nobody in
            _, now = await tx.factor_proofs.methods_of(user.id)
            secret = self._challenges.secret_of(challenge, SECRET_BYTES)
            step = find_step(secret, digits, now) if digits else None
            if has_factor or step is None or challenge.is_over(now.timestamp()):
                return None
            if not await tx.factor_proofs.spend_challenge(challenge.digest, challenge.good_until):
                return None
            factor_id = uuid7()
            sealed = seal_totp_secret(secret, factor_id, self._secrets)
            await tx.factors.add_confirmed(user.id, factor_id, *sealed, step)
            codes = await renew_recovery_codes(tx, user.id)
            account, ended = await end_sessions(tx, user, EndReason.FACTOR_ADDED)
            opened = await self._sign_in.open(tx, account, BY_CODE, device, attempt)
            await self._notices.notify(tx, MailKind.FACTOR_ADDED, user.id)
        return Enrolled(account, opened, codes, ended)
