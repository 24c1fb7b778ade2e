"""What proves a second factor at a sign-in, and is used up by the statement that opens the session, or alone."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from auth_service.database.connection import Connection
from auth_service.database.prepared import Prepared
from auth_service.models import SPENT_CHALLENGES
from auth_service.repositories.factors import spending
from auth_service.repositories.factors.spending import WHO

S = SPENT_CHALLENGES.c


@dataclass(frozen=True)
class Proof:
    """What a sign-in uses up: a challenge, of which this is the digest and which is good until then, and a code."""

    challenge: bytes = field(repr=False)
    good_until: datetime

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of the statements that use it up, beside those of the session."""
        return {"challenge_digest": self.challenge, "challenge_until": self.good_until}


@dataclass(frozen=True)
class TotpProof(Proof):
    """The code of a time step, which must be later than that of every code that was used."""

    factor_id: UUID
    step: int

    @property
    def values(self) -> dict[str, Any]:
        return {**super().values, "totp_factor": self.factor_id, "totp_step": self.step}


@dataclass(frozen=True)
class PasskeyProof(Proof):
    """A signature of a passkey, whose counter must have risen if it cannot have left its device."""

    factor_id: UUID
    sign_count: int
    backed_up: bool
    is_device_bound: bool

    @property
    def values(self) -> dict[str, Any]:
        return {
            **super().values, "passkey": self.factor_id, "passkey_count": self.sign_count,
            "passkey_backed_up": self.backed_up, "passkey_device_bound": self.is_device_bound,
        }  # fmt: skip


@dataclass(frozen=True)
class RecoveryProof(Proof):
    """A recovery code, by its hash."""

    code_hash: bytes = field(repr=False)

    @property
    def values(self) -> dict[str, Any]:
        return {**super().values, "recovery_hash": self.code_hash}


_spend_challenge = Prepared(spending.spend_challenge)
_spend_step = Prepared(lambda clock: spending.spend_step(clock, WHO))
_spend_signature = Prepared(lambda clock: spending.spend_signature(clock, WHO))
_spend_recovery_code = Prepared(lambda clock: spending.spend_recovery_code(clock, WHO))


class FactorProofs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def spend_challenge(self, challenge: bytes, good_until: datetime) -> bool:
        """Use up a challenge, by its digest, that goes with no code; False if it was before, or is good no more."""
        values = {"challenge_digest": challenge, "challenge_until": good_until}
        return bool(await _spend_challenge.execute(self._connection, **values))

    async def is_spent(self, challenge: bytes) -> bool:
        """Whether a challenge, by its digest, was used up."""
        return (await self._connection.execute(select(S.digest).where(S.digest == challenge))).first() is not None

    async def spend_step(self, user_id: UUID, factor_id: UUID, step: int) -> bool:
        """Use the code of an app up for something else than a sign-in; False if it or a later one was used before."""
        given = {"session_user_id": user_id, "totp_factor": factor_id, "totp_step": step}
        return bool(await _spend_step.execute(self._connection, **given))

    async def spend_signature(self, user_id: UUID, proof: PasskeyProof) -> bool:
        """The same with a signature of a passkey, and not with its challenge; False if its counter did not rise."""
        return bool(await _spend_signature.execute(self._connection, session_user_id=user_id, **proof.values))

    async def spend_recovery_code(self, user_id: UUID, code_hash: bytes) -> bool:
        """The same with a recovery code; False if there is no such one, or none any more."""
        given = {"session_user_id": user_id, "recovery_hash": code_hash}
        return bool(await _spend_recovery_code.execute(self._connection, **given))
