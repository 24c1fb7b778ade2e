"""How owners add a passkey to their account, and name it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from auth_service.errors import FactorExists, InvalidAccessToken, InvalidChallenge, NoSuchFactor, TooManyFactors
from auth_service.models import ChangeKind, Device, FactorKind, FactorView, MailKind, StopReason, User, by_passkey
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.security.factors.passkey_names import suggest_passkey_name
from auth_service.security.factors.webauthn import PasskeyRefused
from auth_service.security.tokens.challenges import Challenge, ChallengeCodec, ChallengePurpose, Passed
from auth_service.services.factors.factor_changes import Confirmed, lock_owner, open_for_first_factor
from auth_service.services.factors.passkey_login import PasskeyOptions
from auth_service.services.factors.stoppable_change import stop_changes
from auth_service.services.mail.notices import Notices
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.sessions.token_issuer import TokenIssuer, TokenPair
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.throttling.rate_limits import RateLimits

if TYPE_CHECKING:
    from auth_service.security.factors.passkeys import PasskeyVerifier

log = structlog.get_logger()

MOST_FACTORS = 20  # of an account: each is told to the browser at a second step


@dataclass(frozen=True)
class Attestation:
    """A new passkey, as a browser or an app returns it (Web Authentication Level 3, section 5.2.1)."""

    challenge: str = field(repr=False)
    credential_id: bytes
    client_data: bytes = field(repr=False)
    attestation_object: bytes = field(repr=False)
    transports: Sequence[str]


@dataclass(frozen=True)
class AddedPasskey:
    """The passkey; with the first factor of an account come recovery codes, and tokens of a new session."""

    factor: FactorView
    recovery_codes: Sequence[str] = field(repr=False)
    tokens: TokenPair | None = field(repr=False)


class NewPasskeys:
    """What asks a browser for a passkey, and reads what it returns."""

    def __init__(self, verifier: "PasskeyVerifier", challenges: ChallengeCodec) -> None:
        self._verifier = verifier
        self._challenges = challenges

    def options(self, user: User, challenge: str, read: Challenge, factors: Sequence[FactorView]) -> dict[str, Any]:
        """Return what makes a browser offer to add a passkey that the account does not have yet."""
        return self._verifier.creation_options(
            challenge,
            user_handle=self.handle(read, factors),
            name=user.email,
            display_name=user.username or user.email,
            exclude=[factor.descriptor for factor in factors if factor.descriptor],
        )

    def handle(self, challenge: Challenge, factors: Sequence[FactorView]) -> bytes:
        """By what authenticators know the account: the same for all of its passkeys, lest browsers list it twice."""
        known = (factor.user_handle for factor in factors if factor.user_handle)
        return next(known, None) or self._challenges.user_handle_of(challenge)

    def read(self, attestation: Attestation, name: str | None) -> dict[str, Any]:
        """Return the columns of a new passkey; without a name it gets that of its authenticator.

        Raises:
            InvalidChallenge: it was not made for this challenge and this site, or not as it was asked for.
        """
        try:
            made = self._verifier.read_registration(
                attestation.client_data, attestation.attestation_object, attestation.challenge
            )
        except PasskeyRefused as refused:
            log.info("passkey.refused", **refused.told)
            raise InvalidChallenge(str(refused)) from None
        if made.credential_id != attestation.credential_id:
            raise InvalidChallenge("its id is another one than that of the answer")
        transports = " ".join(dict.fromkeys(attestation.transports))
        return {
            **made._asdict(),
            "transports": transports,
            "name": name or suggest_passkey_name(made.aaguid) or "Passkey",
        }


class PasskeyEnrolment:
    def __init__(
        self,
        *,
        database: Database,
        passkeys: NewPasskeys,
        challenges: ChallengeCodec,
        clock: DatabaseClock,
        sign_in: SignIn,
        issuer: TokenIssuer,
        revocations: Revocations,
        rate_limits: RateLimits,
        notices: Notices,
    ) -> None:
        self._database = database
        self._passkeys = passkeys
        self._challenges = challenges
        self._clock = clock
        self._sign_in = sign_in
        self._issuer = issuer
        self._revocations = revocations
        self._rate_limits = rate_limits
        self._notices = notices

    async def options(self, bearer: Bearer) -> PasskeyOptions:
        """Return what makes a browser offer to add a passkey; nothing is written.

        Raises:
            InvalidAccessToken: the bearer's session has ended in the meantime.
        """
        async with self._database.statement() as tx:
            owner = await tx.users.find_by_session(bearer.user_id, bearer.session_id)
            factors = await tx.factors.list_of_user(bearer.user_id)
        if owner is None:
            raise InvalidAccessToken
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        purpose = ChallengePurpose.PASSKEY_ENROLMENT
        challenge = self._challenges.issue(purpose, owner.id, owner.credential_epoch, Passed.NOTHING, now)
        read = self._challenges.read(challenge, purpose)
        assert read is not None  # noqa: S101  # it was made just now
        return PasskeyOptions(challenge, self._passkeys.options(owner, challenge, read, factors))

    async def add(self, bearer: Bearer, attestation: Attestation, name: str | None, device: Device) -> AddedPasskey:
        """Add a passkey, which counts at once. If it is the first factor, every session from before ends.

        Raises:
            InvalidChallenge: the challenge is not one of this account, is good no more, or was used; or what the
                browser returned was not made for it.
            FactorExists: the passkey is registered, whoever it is of.
            TooManyFactors: the account has as many as it may have.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: too much was changed.
            Unavailable: no access token could be signed: nothing is changed.
        """
        await self._rate_limits.change("factors", bearer.user_id)
        read = self._challenges.read(attestation.challenge, ChallengePurpose.PASSKEY_ENROLMENT)
        if read is None or read.user_id != bearer.user_id or read.is_over(self._clock.now()):
            raise InvalidChallenge
        columns = self._passkeys.read(attestation, name)
        await self._issuer.ensure_ready()  # no session is opened that could not be answered
        factor, confirmed = await self._add(bearer, read, columns, device)
        self._revocations.add(confirmed.ended)
        tokens = await confirmed.tokens() if confirmed.tokens else None
        return AddedPasskey(factor, confirmed.recovery_codes, tokens)

    @retried
    async def _add(
        self, bearer: Bearer, challenge: Challenge, columns: dict[str, Any], device: Device
    ) -> tuple[FactorView, Confirmed]:
        async with self._database.transaction() as tx:
            owner = await lock_owner(tx, bearer)
            if owner.credential_epoch != challenge.credential_epoch:
                raise InvalidChallenge
            if not await tx.factor_proofs.spend_challenge(challenge.digest, challenge.good_until):
                raise InvalidChallenge
            before = await tx.factors.list_of_user(owner.id)
            if len(before) >= MOST_FACTORS:
                raise TooManyFactors
            factor = await add_passkey(tx, owner, columns, self._passkeys.handle(challenge, before), self._notices)
            if before:
                await stop_changes(tx, owner.id, StopReason.OTHER_CHANGE, ChangeKind.FACTORS)  # they are not lost
                return factor, Confirmed(())
            proved = by_passkey(is_device_bound=not columns["backup_eligible"])
            return factor, await open_for_first_factor(
                tx, owner, bearer.session_id, proved=proved, device=device, sign_in=self._sign_in
            )

    async def rename(self, bearer: Bearer, factor_id: UUID, name: str) -> FactorView:
        """Give a passkey of the bearer another name.

        Raises:
            NoSuchFactor: unknown, another user's, or no passkey.
            TooManyAttempts: too much was changed.
        """
        await self._rate_limits.change("factors", bearer.user_id)
        return await self._rename(bearer, factor_id, name)

    @retried
    async def _rename(self, bearer: Bearer, factor_id: UUID, name: str) -> FactorView:
        async with self._database.transaction() as tx:
            owner = await lock_owner(tx, bearer)
            renamed = await tx.factors.rename(owner.id, factor_id, name)
            if renamed is None:
                raise NoSuchFactor("You have no such passkey.")
            return renamed


async def add_passkey(
    tx: Transaction, owner: User, columns: dict[str, Any], user_handle: bytes, notices: Notices
) -> FactorView:
    """Add a passkey to an account that is locked, and tell its owner; raises `FactorExists`."""
    factor = await tx.factors.add_passkey(owner.id, {**columns, "user_handle": user_handle})
    if factor is None:
        raise FactorExists
    await notices.notify(tx, MailKind.FACTOR_ADDED, owner.id, factor=FactorKind.PASSKEY)
    return factor
