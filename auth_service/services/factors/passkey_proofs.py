"""A signature of a passkey, looked at: whose it is, and whether it may be used up."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from auth_service.errors import InvalidCredentials
from auth_service.models import MailKind, PasskeyRecord, SecurityEvent
from auth_service.repositories.database import Database
from auth_service.repositories.factors.lookups import FoundPasskey
from auth_service.repositories.factors.proofs import PasskeyProof
from auth_service.security.factors.webauthn import PasskeyRefused
from auth_service.security.tokens.challenges import Challenge
from auth_service.services.mail.notices import Notices
from auth_service.services.operations.audit import Audit

if TYPE_CHECKING:
    from auth_service.security.factors.passkeys import PasskeyVerifier

log = structlog.get_logger()


@dataclass(frozen=True)
class Assertion:
    """What a browser or an app returns for a challenge (Web Authentication Level 3, section 5.2.2)."""

    challenge: str = field(repr=False)
    credential_id: bytes
    client_data: bytes = field(repr=False)
    authenticator_data: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    user_handle: bytes | None = field(repr=False)


class UnknownPasskey(InvalidCredentials):
    """`unknown_credential` is for the page: it lets the browser forget the passkey."""

    detail = "This passkey is not known here; it may have been removed."

    def __init__(self) -> None:
        super().__init__()
        self.members = {"unknown_credential": True}


class InvalidPasskey(InvalidCredentials):
    detail = "The passkey was refused, or the sign-in took too long: try again."


class PasskeyProofs:
    def __init__(self, database: Database, verifier: "PasskeyVerifier", audit: Audit, notices: Notices) -> None:
        self._database = database
        self._verifier = verifier
        self._audit = audit
        self._notices = notices

    async def find(self, assertion: Assertion) -> FoundPasskey:
        """Return the passkey, and the account that it is of.

        Raises:
            UnknownPasskey: there is none of this id.
            InvalidPasskey: it is of another user than the authenticator says.
        """
        async with self._database.statement() as tx:
            found = await tx.factor_lookups.find_passkey(assertion.credential_id)
        if found is None:
            raise UnknownPasskey
        if assertion.user_handle not in {None, found.record.user_handle}:
            raise InvalidPasskey
        return found

    async def of_user(self, user_id: UUID, assertion: Assertion, challenge: Challenge) -> PasskeyProof:
        """Return what is to be used up for a good signature by a passkey of this user; raises as the two below."""
        found = await self.find(assertion)
        if found.record.user_id != user_id:
            raise InvalidPasskey
        return await self.check(assertion, challenge, found.record)

    async def check(self, assertion: Assertion, challenge: Challenge, record: PasskeyRecord) -> PasskeyProof:
        """Return what is to be used up for a good signature.

        Raises:
            InvalidPasskey: for whatever is wrong with it alike; the log says what.
        """
        try:
            asserted = self._verifier.check_assertion(
                assertion.client_data,
                assertion.authenticator_data,
                assertion.signature,
                assertion.challenge,
                public_key=record.public_key,
                backup_eligible=record.backup_eligible,
            )
        except PasskeyRefused as refused:
            log.info("passkey.refused", **refused.told, factor_id=str(record.id))
            raise InvalidPasskey from None
        proof = PasskeyProof(
            challenge.digest,
            challenge.good_until,
            record.id,
            asserted.sign_count,
            asserted.backed_up,
            is_device_bound=not record.backup_eligible,
        )
        if asserted.sign_count <= record.sign_count and record.sign_count:
            await self._counter_stood_still(proof, record)
        return proof

    async def _counter_stood_still(self, proof: PasskeyProof, record: PasskeyRecord) -> None:
        """Two devices sign with one key, unless it is the same signature again: its challenge was used up then."""
        async with self._database.statement() as tx:
            if await tx.factor_proofs.is_spent(proof.challenge):
                raise InvalidPasskey
        if not proof.is_device_bound:
            await self._audit.record(SecurityEvent.PASSKEY_COUNTER_FELL, record.user_id)
            return
        await self._audit.record(SecurityEvent.PASSKEY_COUNTER_REFUSED, record.user_id)
        await self._notices.warn(self._database, MailKind.PASSKEY_REFUSED, record.user_id)
        raise InvalidPasskey
