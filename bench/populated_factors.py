"""Second factors of every tenth user of a population, and the codes that they sign in with."""

import asyncio
import hashlib
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pyotp

from auth_service.models import FactorKind
from auth_service.security.factors.recovery_codes import AT_ONCE, BYTES
from auth_service.security.factors.totp import SECRET_BYTES, STEP_SECONDS, base32, seal_totp_secret
from auth_service.security.keys import SecretKeys
from auth_service.security.tokens.challenges import ChallengeCodec, ChallengePurpose, Passed
from auth_service.security.typed_codes import spell_code
from bench.population import SECRET_KEY, Population
from tests.support.postgres import Cluster

EACH = 10  # every such user has an authenticator app and recovery codes
CODES = 3  # of an app that are good at any moment: of this step and of its neighbours
ROOM = 5.0  # seconds that a stretch may take before its oldest codes are not good any more
_FIRST = 0x01900002_0000_7000_8000_000000000000
_FACTOR = ("id", "user_id", "kind", "secret", "secret_id", "last_step", "created_at", "confirmed_at")
_RECOVERY_CODES = """
SET session_replication_role = replica;
INSERT INTO recovery_codes (user_id, code_hash)
SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(owner), 12, '0'))::uuid,
       sha256(substring(sha256(convert_to('code ' || owner || ' ' || code, 'UTF8')) FOR {bytes}))
FROM generate_series(0, {last}, {each}) AS owner, generate_series(0, {codes} - 1) AS code
"""


class Use(NamedTuple):
    """The owner's number, and for which time a code of that kind is used."""

    owner: int
    turn: int


class PopulatedFactors:
    """The owners are numbered from 0: the users 0, 10, 20 and so on."""

    def __init__(self, cluster: Cluster, database: str, population: Population) -> None:
        self.owners = -(-population.users // EACH)
        self._url = cluster.url(database)
        self._population = population
        self._keys = SecretKeys([SECRET_KEY])
        self._challenges = ChallengeCodec(self._keys)

    def make(self) -> None:
        """Insert them, and leave the tables as autovacuum would."""
        asyncio.run(self._copy())
        last = self._population.users - 1
        self._population.run(_RECOVERY_CODES.format(bytes=BYTES, last=last, each=EACH, codes=AT_ONCE))
        for table in ("factors", "recovery_codes"):
            self._population.run(f"VACUUM (ANALYZE) {table}")

    def codes(self, uses: list[Use]) -> list[str]:
        """What owners send now: the challenge for the password, and the code of the step before, of now or the next."""
        left = STEP_SECONDS - time.time() % STEP_SECONDS
        if left < ROOM:
            time.sleep(left)
        first = int(time.time()) // STEP_SECONDS - CODES // 2
        return [f"{self._challenge(owner)} {_app(owner).at(first + turn)}" for owner, turn in uses]

    def recovery_codes(self, uses: list[Use]) -> list[str]:
        """The same with recovery codes."""
        return [f"{self._challenge(owner)} {spell_code(_recovery_code(owner, turn))}" for owner, turn in uses]

    def uses(self, turns: int) -> Iterator[Use]:
        """All owners in no order, then again for the next turn."""
        for turn in range(turns):
            yield from (Use(owner, turn) for owner in random.sample(range(self.owners), self.owners))

    def _challenge(self, owner: int) -> str:
        user_id, purpose = self._population.user_id(owner * EACH), ChallengePurpose.SECOND_FACTOR
        return self._challenges.issue(purpose, user_id, 0, Passed.PASSWORD, datetime.now(UTC))

    async def _copy(self) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute("SET session_replication_role = replica")
            await connection.copy_records_to_table("factors", records=self._factors(), columns=_FACTOR, timeout=600)
        finally:
            await connection.close()

    def _factors(self) -> Iterator[tuple[Any, ...]]:
        now = datetime.now(UTC)
        for owner in range(self.owners):
            factor_id, user_id = UUID(int=_FIRST + owner), self._population.user_id(owner * EACH)
            sealed = seal_totp_secret(_secret(owner), factor_id, self._keys)
            yield factor_id, user_id, FactorKind.TOTP.value, *sealed, 0, now, now


def _app(owner: int) -> pyotp.HOTP:
    return pyotp.HOTP(base32(_secret(owner)))


def _secret(owner: int) -> bytes:
    return hashlib.sha256(f"app {owner}".encode()).digest()[:SECRET_BYTES]


def _recovery_code(owner: int, use: int) -> bytes:
    return hashlib.sha256(f"code {owner * EACH} {use}".encode()).digest()[:BYTES]
