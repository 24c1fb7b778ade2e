"""The two kinds of factor that a login can add: an app, whose secret follows from the challenge, and a passkey.

So to ask twice gives the same, and nothing is stored before the factor is proved.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from uuid_utils.compat import uuid7

from auth_service.models import BY_CODE, Authentication, FactorKind, FactorView, MailKind, User, by_passkey
from auth_service.repositories.transaction import Transaction
from auth_service.security.factors.totp import (
    SECRET_BYTES,
    base32,
    find_step,
    otpauth_uri,
    read_totp_code,
    seal_totp_secret,
)
from auth_service.security.keys import SecretKeys
from auth_service.security.tokens.challenges import Challenge, ChallengeCodec
from auth_service.services.factors.factor_changes import EnrolmentSecret
from auth_service.services.factors.passkey_enrolment import Attestation, NewPasskeys, add_passkey
from auth_service.services.mail.notices import Notices


@dataclass(frozen=True)
class PasskeyRequest:
    """What a browser is asked for a new passkey."""

    public_key: dict[str, Any] = field(repr=False)


class AddFactor(Protocol):
    """Adds a factor to an account that is locked, if its proof is right; None if it is not. `kind` is the factor's."""

    @property
    def kind(self) -> FactorKind: ...

    async def __call__(
        self, tx: Transaction, user: User, challenge: Challenge, factors: Sequence[FactorView]
    ) -> Authentication | None: ...


@dataclass(frozen=True)
class AddTotp:
    """An app, by a code of it. `issuer_name` is what apps call this service."""

    challenges: ChallengeCodec
    secrets: SecretKeys
    notices: Notices
    issuer_name: str
    code: str = field(default="", repr=False)
    kind: FactorKind = FactorKind.TOTP

    def begin(self, user: User, challenge: Challenge) -> EnrolmentSecret:
        secret = self.challenges.secret_of(challenge, SECRET_BYTES)
        return EnrolmentSecret(base32(secret), otpauth_uri(secret, self.issuer_name, user.email))

    async def __call__(
        self, tx: Transaction, user: User, challenge: Challenge, factors: Sequence[FactorView]
    ) -> Authentication | None:
        _, now = await tx.factor_lookups.methods_of(user.id)
        secret, digits = self.challenges.secret_of(challenge, SECRET_BYTES), read_totp_code(self.code)
        step = find_step(secret, digits, now) if digits else None
        if factors or step is None:
            return None
        factor_id = uuid7()
        await tx.factors.add_confirmed(user.id, factor_id, *seal_totp_secret(secret, factor_id, self.secrets), step)
        await self.notices.notify(tx, MailKind.FACTOR_ADDED, user.id)
        return BY_CODE


@dataclass(frozen=True)
class AddPasskey:
    """A passkey, by what the browser returned for it."""

    passkeys: NewPasskeys
    notices: Notices
    attestation: Attestation
    name: str | None
    kind: FactorKind = FactorKind.PASSKEY

    async def __call__(
        self, tx: Transaction, user: User, challenge: Challenge, factors: Sequence[FactorView]
    ) -> Authentication | None:
        """As above. Raises `InvalidChallenge` and `FactorExists`."""
        columns = self.passkeys.read(self.attestation, self.name)
        await add_passkey(tx, user, columns, self.passkeys.handle(challenge, factors), self.notices)
        return by_passkey(is_device_bound=not columns["backup_eligible"], beside_password=True)
