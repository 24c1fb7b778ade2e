"""The life of signing keys: pending (published), active (signs), retired (still verifies), gone."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from auth_service.errors import InvalidInput, Reason, Refused
from auth_service.models import KeyState, KeyStep, SecurityEvent, SigningKey, due_steps
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.security.keys import SecretKeys
from auth_service.security.signing_keys import (
    ForgedKeyError,
    SealedKey,
    UnknownSecretError,
    UnusableKeyError,
    make_signing_key,
    open_signing_key,
    read_signing_key,
    reseal,
)


class NoSuchKey(Refused):
    detail = "There is no such key; 'auth-service keys list' shows all keys."


class KeyUnreadable(Refused):
    detail = "AUTH_SECRET_KEY does not include the secret that a key is encrypted under; nothing was changed."


class RotationUnderWay(Refused):
    detail = "A new key is already published and will sign soon; nothing was changed."


class KeyKnown(Refused):
    detail = "This key is already stored; nothing was changed."


class KeyLifecycle:
    """Each method is one transaction that waits for the others: any number of processes may call them."""

    def __init__(self, database: Database, secrets: SecretKeys, rotation_interval: timedelta) -> None:
        self._database = database
        self._secrets = secrets
        self._rotation_interval = rotation_interval

    async def list_all(self) -> tuple[Sequence[SigningKey], Sequence[str]]:
        """Return every key, the oldest first, and the `kid` of each that is forged."""
        async with self._database.statement() as tx:
            stored = await tx.signing_keys.list_all()
        return stored, [key.kid for key in stored if self._opens(key) is None]

    @retried
    async def advance(self) -> Sequence[tuple[KeyStep, str]]:
        """Take the steps that are due and return them; the schedule calls this again and again in every process."""
        async with self._database.transaction() as tx:
            now = await tx.signing_keys.lock()
            stored = await tx.signing_keys.list_all()
            steps = due_steps(self._genuine(stored), now, self._rotation_interval)
            if self._cannot_take_over(stored):
                steps = [step for step in steps if step[0] is KeyStep.REMOVE]
            for step, kid in steps:
                await self._take(tx, step, kid)
        return steps

    @retried
    async def rotate(self) -> str:
        """Publish a new key, which signs after six minutes; return its `kid`.

        Raises:
            RotationUnderWay: there is a pending key already.
        """
        return await self._add_pending(make_signing_key(self._secrets))

    @retried
    async def import_key(self, pem: bytes) -> str:
        """Publish a key that was made elsewhere, which signs after six minutes; return its `kid`.

        Raises:
            InvalidInput: not an unencrypted P-256 private key in PEM.
            KeyKnown: it was imported before.
            RotationUnderWay: there is a pending key already.
        """
        try:
            return await self._add_pending(read_signing_key(pem, self._secrets))
        except UnusableKeyError:
            sentence = "Must be an unencrypted P-256 private key in PEM format."
            raise InvalidInput("file", Reason.INVALID_FORMAT, sentence) from None

    @retried
    async def revoke(self, kid: str) -> None:
        """Remove a key at once, with every token that it signed; if it was active, another one signs from now on.

        No session ends: clients get a 401 for their access token and refresh it.

        Raises:
            NoSuchKey: no key has this `kid`.
        """
        async with self._database.transaction() as tx:
            await tx.signing_keys.lock()
            state = await tx.signing_keys.remove(kid, SecurityEvent.KEY_REVOKED)
            if state is None:
                raise NoSuchKey
            if state == KeyState.ACTIVE:
                await self._replace_active(tx, self._genuine(await tx.signing_keys.list_all()))

    @retried
    async def rewrap(self) -> int:
        """Encrypt every key under the newest secret, so that the older ones can be dropped; return how many were.

        Raises:
            KeyUnreadable: a key is encrypted under a secret that is not listed.
        """
        newest = self._secrets.newest.id.hex()
        async with self._database.transaction() as tx:
            await tx.signing_keys.lock()
            old = [key for key in self._genuine(await tx.signing_keys.list_all()) if key.secret_id != newest]
            for key in old:
                sealed = self._reseal(key)
                await tx.signing_keys.reseal(key.kid, sealed.private_key, sealed.secret_id)
        return len(old)

    async def _add_pending(self, key: SealedKey) -> str:
        async with self._database.transaction() as tx:
            await tx.signing_keys.lock()
            keys = await tx.signing_keys.list_all()
            if any(known.kid == key.kid for known in keys):
                raise KeyKnown
            if any(known.state == KeyState.PENDING for known in self._genuine(keys)):
                raise RotationUnderWay
            await tx.signing_keys.add_pending(asdict(key))
        return key.kid

    async def _take(self, tx: Transaction, step: KeyStep, kid: str) -> None:
        if step is KeyStep.ADD:
            await tx.signing_keys.add_pending(asdict(make_signing_key(self._secrets)))
        elif step is KeyStep.RETIRE:
            await tx.signing_keys.retire(kid)
        elif step is KeyStep.ACTIVATE:
            await tx.signing_keys.activate(kid)
        else:
            await tx.signing_keys.remove(kid, SecurityEvent.KEY_REMOVED)

    async def _replace_active(self, tx: Transaction, keys: Sequence[SigningKey]) -> None:
        """Verifiers look a new `kid` up, so an emergency need not wait for it to be published first."""
        pending = next((key for key in keys if key.state == KeyState.PENDING and self._opens(key)), None)
        if pending:
            await tx.signing_keys.activate(pending.kid)
        else:
            await tx.signing_keys.add_first(asdict(make_signing_key(self._secrets)))

    def _genuine(self, keys: Sequence[SigningKey]) -> Sequence[SigningKey]:
        """The keys but for those that somebody else wrote into the table."""
        return [key for key in keys if self._opens(key) is not None]

    def _cannot_take_over(self, stored: Sequence[SigningKey]) -> bool:
        """Whether the next key would sign for nobody here, or the place of the active one is taken by a forgery."""
        standing = [(key.state, self._opens(key)) for key in stored]
        return (KeyState.PENDING, False) in standing or (KeyState.ACTIVE, None) in standing

    def _opens(self, key: SigningKey) -> bool | None:
        """Whether a key can sign here; None if it is forged. One whose secret is not listed here may be genuine."""
        try:
            open_signing_key(key, self._secrets)
        except UnknownSecretError:
            return False
        except ForgedKeyError:
            return None
        return True

    def _reseal(self, key: SigningKey) -> SealedKey:
        try:
            return reseal(key, self._secrets)
        except UnknownSecretError:
            raise KeyUnreadable from None
