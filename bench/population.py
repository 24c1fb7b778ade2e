"""Millions of users and sessions in a database of its own, quickly, and the tokens of any of them."""

import hashlib
import random
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from auth_service.models import UNUSABLE
from auth_service.security.keys import SecretKeys
from auth_service.security.passwords.hashing import Passwords
from auth_service.security.tokens.refresh_tokens import RefreshTokenCodec
from auth_service.settings import PasswordSettings
from tests.support.postgres import Cluster, programs

FIRST_USER = 0x01900000_0000_7000_8000_000000000000
SECRET_KEY = "YmVuY2htYXJrcyBvbmx5OiAzMiBieXRlcyBvciBtb3Jl"
EACH = 5  # sessions of each user, all over the table
GENERATION = 40
STEP = 250_000  # rows to a statement
WRITERS = 2
LIMIT = 900  # seconds for a statement, such as to make an index
TABLES = ("users", "refresh_tokens")
PRODUCTION = {
    "fsync": "on", "full_page_writes": "on", "shared_buffers": "1GB", "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
}  # fmt: skip

# Names are hashes, so that no part of one is everywhere; a user every 30 seconds.
_USERS = """
SET session_replication_role = replica;
INSERT INTO users (id, email, email_canonical, username, username_canonical, username_skeleton, username_skeleton_of,
                   username_twin, hashed_password, role, is_active, is_verified, credential_epoch, created_at,
                   updated_at, last_login_at)
SELECT id, address, address, name, name, translate(name, '01', 'ol'), name, id, '{hashed_password}', 'user',
       true, number % 5 <> 0, 0, at, at, now() - random() * interval '30 days'
FROM (SELECT number, ('01900000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid AS id,
             substr(md5(number::text), 1, 12) || '@example' || number % 97 || '.com' AS address,
             'u' || substr(md5('name' || number), 1, 12) AS name, now() - number * interval '30 seconds' AS at
      FROM generate_series({first}, {last}) AS number) AS made
"""
# Neither the place in the table nor the owner tells when a session ends: every page has some of each.
_SESSIONS = """
SET session_replication_role = replica;
INSERT INTO refresh_tokens (id, user_id, credential_epoch, secret_hash, generation, rotations, created_at, last_used_at,
                            expires_at, user_agent, ip)
SELECT ('01900001-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid,
       ('01900000-0000-7000-8000-' || lpad(to_hex(number % {users}), 12, '0'))::uuid, 0,
       sha256(sha256(int8send(number))), {generation}, array_fill(used_at, ARRAY[8]),
       expires_at - interval '30 days', used_at, expires_at,
       'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', '203.0.113.' || number % 250
FROM (SELECT number, now() - random() * interval '1 hour' AS used_at,
             CASE WHEN number % 2 < {live} THEN now() + interval '1 hour' + random() * interval '29 days'
                  ELSE now() - interval '1 second' - random() * interval '7 days' END AS expires_at
      FROM generate_series({first}, {last}, {stride}) AS number) AS made
"""
# All but the primary keys, whose values come in order. They are made again as they were, once the rows are there.
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename IN ('users', 'refresh_tokens') AND indexname NOT LIKE 'pk%'
"""
_SIZES = """
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE relname ~ 'users|refresh_tokens' AND relkind IN ('r', 'i') ORDER BY relname
"""


class Population:
    """`rows` sessions, numbered from 0, in one database with the service's schema; with `expired` the odd ones are."""

    def __init__(self, cluster: Cluster, database: str, rows: int, *, expired: bool = False) -> None:
        self.rows = rows
        self.users = max(1, rows // EACH)
        self._url = cluster.url(database)
        self._expired = expired
        self._tokens = RefreshTokenCodec(SecretKeys([SECRET_KEY]))

    def make(self, known: str = "") -> None:
        """Insert everybody, and leave the tables as autovacuum and a checkpoint would.

        Everybody's password is the `known` one; else nobody has any.

        No trigger runs and no foreign key is checked meanwhile; rows and keys are right by construction.
        """
        indexes = [line.split("|") for line in self.run(_INDEXES).splitlines()]
        for name, _ in indexes:
            self.run(f"DROP INDEX {name}")
        self._fill(_USERS, self.users, hashed_password=Passwords(PasswordSettings()).hash(known) if known else UNUSABLE)
        self._fill(_SESSIONS, self.rows, users=self.users, live=1 if self._expired else 2)
        for _, definition in indexes:
            self.run(definition)
        self._settle()

    def insert_expired(self) -> None:
        """Insert the expired ones again, once they have been deleted, where autovacuum has made room for them."""
        self._settle()
        self._fill(_SESSIONS, self.rows, stride=2, start=1, users=self.users, live=1)
        self._settle()

    def live_tokens(self) -> Iterator[str]:
        """The refresh tokens of live sessions from all over the table, each of which may be used once."""
        return map(self.token, self.pick(min(self.rows // 2, 200_000)))

    def pick(self, count: int) -> list[int]:
        """So many different live sessions, from all over the table, in no order."""
        return random.sample(range(0, self.rows, 2 if self._expired else 1), count)

    def token(self, number: int) -> str:
        """The refresh token of one session, as long as nobody has used it."""
        return self._tokens.issue(hashlib.sha256(number.to_bytes(8, "big")).digest(), GENERATION)

    @staticmethod
    def email(user: int) -> str:
        """The address of a user, numbered from 0."""
        return f"{hashlib.md5(str(user).encode()).hexdigest()[:12]}@example{user % 97}.com"  # noqa: S324  # no secret

    @staticmethod
    def username(user: int) -> str:
        """Their username."""
        return f"u{hashlib.md5(f'name{user}'.encode()).hexdigest()[:12]}"  # noqa: S324  # no secret

    @staticmethod
    def user_id(user: int) -> UUID:
        """Their id."""
        return UUID(int=FIRST_USER + user)

    def sizes(self) -> dict[str, int]:
        """The bytes of each table and index."""
        return {name: int(size) for name, size in (line.split("|") for line in self.run(_SIZES).splitlines())}

    def _fill(self, sql: str, count: int, *, start: int = 0, stride: int = 1, **values: object) -> None:
        def insert(first: int) -> None:
            last = min(first + STEP * stride, count) - 1
            self.run(sql.format(first=first, last=last, stride=stride, generation=GENERATION, **values))

        with ThreadPoolExecutor(WRITERS) as writers:
            list(writers.map(insert, range(start, count, STEP * stride)))

    def _settle(self) -> None:
        for table in TABLES:
            self.run(f"VACUUM (ANALYZE) {table}")
        self.run("CHECKPOINT")

    def run(self, sql: str) -> str:
        """Run one statement, which may take long."""
        command: list[str | Path] = [
            programs() / "psql",
            "-X",
            "-q",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            self._url,
            "-f",
            "-",
        ]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, input=sql, capture_output=True, text=True, check=True, timeout=LIMIT
        )
        return done.stdout.rstrip("\n")


def be_like_production(cluster: Cluster, extra: Iterable[str]) -> dict[str, str]:
    """Let a running cluster keep what a power cut would lose, with memory and a log for millions of rows.

    `extra` are settings of PostgreSQL as NAME=VALUE, which win. Return all that were set.
    """
    settings = PRODUCTION | dict(one.split("=", 1) for one in extra)
    for name, value in settings.items():
        cluster.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    cluster.restart(timeout=60)
    return settings
