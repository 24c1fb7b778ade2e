"""Accounts with an authenticator app, written past the service, and what each sends: every one signs in once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pyotp

from auth_service.models import FactorKind
from auth_service.security.factors.totp import base32, new_totp_secret, seal_totp_secret
from auth_service.security.keys import SecretKeys
from auth_service.security.passwords.hashing import Passwords
from auth_service.security.tokens.challenges import ChallengeCodec, ChallengePurpose, Passed
from auth_service.settings import PasswordSettings
from tests.support.client import PASSWORD
from tests.support.postgres import Cluster

_FIRST = 0x01900000_0000_7000_8000_000000000000
_USER = (
    "id", "email", "email_canonical", "hashed_password", "role", "is_active", "is_verified", "credential_epoch",
    "created_at", "updated_at",
)  # fmt: skip
_FACTOR = ("id", "user_id", "kind", "secret", "secret_id", "last_step", "created_at", "confirmed_at")


@dataclass(frozen=True)
class TotpAccount:
    id: UUID
    email: str
    secret: bytes

    def code(self) -> str:
        """The code of now, which is good for half a minute more."""
        return pyotp.TOTP(base32(self.secret)).now()


class TotpAccounts:
    """The accounts of one database, whose password is that of all users here. A factor has the id of its account."""

    def __init__(self, cluster: Cluster, secret_key: str) -> None:
        self._cluster = cluster
        self._keys = SecretKeys([secret_key])
        self._challenges = ChallengeCodec(self._keys)
        self._unused: list[TotpAccount] = []

    def make(self, database: str, count: int) -> None:
        """Add so many to a database, and leave its tables as autovacuum would."""
        hashed_password, now = Passwords(PasswordSettings()).hash(PASSWORD), datetime.now(UTC)
        made = [
            TotpAccount(UUID(int=_FIRST + number), f"totp{number}@example.com", new_totp_secret())
            for number in range(count)
        ]
        users = [(one.id, one.email, one.email, hashed_password, "user", True, True, 0, now, now) for one in made]
        factors = [
            (one.id, one.id, FactorKind.TOTP.value, *seal_totp_secret(one.secret, one.id, self._keys), 0, now, now)
            for one in made
        ]
        asyncio.run(copy(self._cluster.url(database), users, factors, _FACTOR))
        for table in ("users", "factors"):
            self._cluster.execute(f"VACUUM (ANALYZE) {table}", database)
        self._unused = made

    def logins(self, count: int) -> list[str]:
        """What the whole sign-ins of so many accounts start with: the address, and the code for the second step."""
        return [f"{one.email} {one.code()}" for one in self._take(count)]

    def second_steps(self, count: int) -> list[str]:
        """What so many accounts send that have given their password: the challenge for it, and the code."""
        return [f"{self._challenge(one)} {one.code()}" for one in self._take(count)]

    def _challenge(self, account: TotpAccount) -> str:
        purpose, passed = ChallengePurpose.SECOND_FACTOR, Passed.PASSWORD
        return self._challenges.issue(purpose, account.id, 0, passed, datetime.now(UTC))

    def _take(self, count: int) -> Sequence[TotpAccount]:
        taken, self._unused = self._unused[:count], self._unused[count:]
        assert len(taken) == count, "more accounts are needed: a code is good once"
        return taken


async def copy(
    url: str, users: Sequence[tuple[Any, ...]], factors: Sequence[tuple[Any, ...]], columns: Sequence[str]
) -> None:
    """Write accounts, and factors with these columns, into a database."""
    connection = await asyncpg.connect(url)
    try:
        await connection.copy_records_to_table("users", records=users, columns=_USER)
        await connection.copy_records_to_table("factors", records=factors, columns=columns)
    finally:
        await connection.close()
