"""The second step of a login: a code of the app, a recovery code or a passkey, for the challenge that the password has
led to.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from auth_service.errors import InvalidCredentials, InvalidSecondFactor
from auth_service.models import BY_CODE, UNUSABLE, Device, LoginAccount, MailKind, SecurityEvent, by_passkey
from auth_service.repositories.database import Database
from auth_service.repositories.factors.lookups import Challenged, challenged
from auth_service.repositories.factors.proofs import RecoveryProof, TotpProof
from auth_service.security.factors.recovery_codes import hash_recovery_code, read_recovery_code
from auth_service.security.factors.totp import read_totp_code
from auth_service.security.tokens.challenges import Challenge, ChallengeCodec, ChallengePurpose
from auth_service.services.factors.factor_sign_in import FactorSignIn
from auth_service.services.factors.passkey_proofs import Assertion, PasskeyProofs
from auth_service.services.factors.required_passkey import RequiredPasskey
from auth_service.services.mail.notices import Notices
from auth_service.services.operations.audit import Audit
from auth_service.services.sessions.login_outcomes import LoginOutcome, counted
from auth_service.services.sessions.token_issuer import TokenPair
from auth_service.services.sessions.totp_codes import TotpCodes
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.throttle import Throttler


class SecondFactor:
    """`apply_due_reset` is as in `Login`; `passkeys` are there where they are configured."""

    def __init__(
        self,
        *,
        database: Database,
        codes: TotpCodes,
        passkeys: PasskeyProofs | None,
        required_passkey: RequiredPasskey,
        challenges: ChallengeCodec,
        clock: DatabaseClock,
        sign_in: FactorSignIn,
        apply_due_reset: Callable[[LoginAccount], Awaitable[LoginAccount]],
        throttle: Throttler,
        audit: Audit,
        notices: Notices,
    ) -> None:
        self._database = database
        self._codes = codes
        self._passkeys = passkeys
        self._required_passkey = required_passkey
        self._challenges = challenges
        self._clock = clock
        self._sign_in = sign_in
        self._apply_due_reset = apply_due_reset
        self._throttle = throttle
        self._audit = audit
        self._notices = notices
        self.outcomes: Counter[LoginOutcome] = Counter()

    async def sign_in(self, challenge: str, code: str, device: Device) -> TokenPair:
        """Open a session for a client that knows the password, as the challenge says, and a code.

        Raises:
            InvalidSecondFactor: for whatever is wrong with either of them alike.
            SecondFactorEnrolmentRequired: both are right, and the account must add a passkey before anything else.
            TooManyAttempts: too many wrong codes of apps. Recovery codes, which nobody guesses, are still looked at.
            HashingOverloaded: other attempts of this account were not decided for too long.
            Unavailable: no access token could be signed, or the secret of the app does not open, which counts nowhere.
        """
        with counted(self.outcomes):
            read = self._read(challenge)
            if recovery_code := read_recovery_code(code):
                return await self._by_recovery_code(read, hash_recovery_code(recovery_code), device)
            if digits := read_totp_code(code):
                return await self._by_totp(read, digits, device)
            raise InvalidSecondFactor

    async def sign_in_by_passkey(self, assertion: Assertion, device: Device) -> TokenPair:
        """The same for a passkey of the account that the challenge is of; raises the same."""
        with counted(self.outcomes):
            challenge = self._read(assertion.challenge)
            found = await self._find(challenge)
            async with self._attempt(challenge, self._throttle.passkey(challenge.user_id, device.ip)) as attempt:
                if self._passkeys is None:
                    raise InvalidSecondFactor
                proof = await self._passkeys.of_user(challenge.user_id, assertion, challenge)
                proved = by_passkey(is_device_bound=proof.is_device_bound, beside_password=True)
                return await self._sign_in.sign_in(found.account, proof, proved, device, attempt)

    def _read(self, challenge: str) -> Challenge:
        read = self._challenges.read(challenge, ChallengePurpose.SECOND_FACTOR)
        if read is None or read.is_over(self._clock.now()):
            raise InvalidSecondFactor
        return read

    async def _by_totp(self, challenge: Challenge, digits: str, device: Device) -> TokenPair:
        lookup = challenged(challenge.user_id, challenge.credential_epoch)
        whose, reserved = await self._throttle.second_factor(lookup, challenge.user_id, device.ip)
        found = await self._still_good(challenge, whose)
        async with self._attempt(challenge, reserved) as attempt:
            step = self._codes.step_of(found.totp, digits, found.now) if found.totp else None
            if found.totp is None or step is None:
                raise InvalidSecondFactor
            proof = TotpProof(challenge.digest, challenge.good_until, found.totp.factor_id, step)
            if self._required_passkey.is_asked_of(found.account):
                raise await self._required_passkey.after_code(challenge, proof, attempt)
            return await self._sign_in.sign_in(found.account, proof, BY_CODE, device, attempt)

    async def _by_recovery_code(self, challenge: Challenge, code_hash: bytes, device: Device) -> TokenPair:
        found = await self._find(challenge)
        if self._required_passkey.is_asked_of(found.account):
            raise InvalidSecondFactor
        reserved = self._throttle.recovery_code(challenge.user_id, device.ip)
        async with self._attempt(challenge, reserved) as attempt:
            proof = RecoveryProof(challenge.digest, challenge.good_until, code_hash)
            return await self._sign_in.sign_in(found.account, proof, BY_CODE, device, attempt)

    @asynccontextmanager
    async def _attempt(
        self, challenge: Challenge, reserved: AbstractAsyncContextManager[Attempt]
    ) -> AsyncIterator[Attempt]:
        """Enter the block with the attempt that is reserved. A refusal in it is written down, and is like any other."""
        attempt = Attempt()
        try:
            async with reserved as attempt:
                yield attempt
        except InvalidCredentials:
            await self._audit.record(SecurityEvent.FACTOR_CODE_REFUSED, challenge.user_id)
            if any(block.is_first for block in attempt.closed):
                # Whoever sends them knows the password (OWASP ASVS 6.3.5).
                await self._notices.warn(self._database, MailKind.SECOND_FACTOR_GUESSED, challenge.user_id)
            raise InvalidSecondFactor from None

    async def _find(self, challenge: Challenge) -> Challenged:
        async with self._database.statement() as tx:
            found = await tx.factor_lookups.find(challenge.user_id)
        return await self._still_good(challenge, found)

    async def _still_good(self, challenge: Challenge, found: Challenged | None) -> Challenged:
        """The account of a challenge, if that is still good for it; the statement that uses it up asks again.

        This is before anything is counted: whoever holds one of before a change knows the password no more, and guesses
        nothing with it. A reset that is due is made first, and ends the challenge too.
        """
        account = found.account if found else None
        if account and account.awaits_reset and account.credential_epoch == challenge.credential_epoch:
            account = await self._apply_due_reset(account)
        if found is None or account is None or account.credential_epoch != challenge.credential_epoch:
            raise InvalidSecondFactor
        if account.hashed_password == UNUSABLE:  # the password that led to the challenge is gone since
            raise InvalidSecondFactor
        return found
