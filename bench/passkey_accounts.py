"""Accounts with a passkey, written past the service, and the signatures that they sign in with.

All of them have one key, which the bare floor knows too: what it is costs nobody anything.
"""

import asyncio
import hashlib
import json
import struct
from datetime import UTC, datetime
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

from auth_service.models import FactorKind
from auth_service.security.keys import SecretKeys, base64url
from auth_service.security.tokens.challenges import ChallengeCodec, ChallengePurpose, Passed
from bench.totp_accounts import copy
from tests.support.postgres import Cluster

KEY = ec.derive_private_key(0x5EED, ec.SECP256R1())
_POINT = KEY.public_key().public_numbers()
COSE = cbor.encode({1: 2, 3: -7, -1: 1, -2: _POINT.x.to_bytes(32), -3: _POINT.y.to_bytes(32)})  # RFC 9053, ES256
RP_ID, ORIGIN = "bench.example", "https://bench.example"
_FIRST = 0x01910000_0000_7000_8000_000000000000
_FLAGS = 0x1D  # user present and verified, backup eligible and backed up
_FACTOR = (
    "id", "user_id", "kind", "last_step", "created_at", "confirmed_at", "credential_id", "public_key", "sign_count",
    "backup_eligible", "backed_up", "transports", "user_handle",
)  # fmt: skip


class PasskeyAccounts:
    """The accounts of one database. A factor has the id of its account, and so has its user handle."""

    def __init__(self, cluster: Cluster, secret_key: str, count: int) -> None:
        self._cluster = cluster
        self._challenges = ChallengeCodec(SecretKeys([secret_key]))
        self._ids = [UUID(int=_FIRST + number) for number in range(count)]
        self._next = 0

    def make(self, database: str) -> None:
        """Add them to a database, and leave its tables as autovacuum would."""
        now = datetime.now(UTC)
        users = [(one, f"{one.hex}@example.com", f"{one.hex}@example.com", "", "user", True, True, 0, now, now)
                 for one in self._ids]  # fmt: skip
        factors = [
            (one, one, FactorKind.PASSKEY.value, 0, now, now, one.bytes, COSE, 0, True, True, "internal", _handle(one))
            for one in self._ids
        ]
        asyncio.run(copy(self._cluster.url(database), users, factors, _FACTOR))
        for table in ("users", "factors"):
            self._cluster.execute(f"VACUUM (ANALYZE) {table}", database)

    def sign_ins(self, count: int) -> list[str]:
        """The bodies of so many sign-ins, each of another account until all have had their turn."""
        return [self._sign_in() for _ in range(count)]

    def _sign_in(self) -> str:
        account, self._next = self._ids[self._next % len(self._ids)], self._next + 1
        purpose = ChallengePurpose.PASSKEY_LOGIN
        challenge = self._challenges.issue(purpose, UUID(int=0), 0, Passed(0), datetime.now(UTC))
        said = {
            "type": "webauthn.get",
            "challenge": base64url(challenge.encode()),
            "origin": ORIGIN,
            "crossOrigin": False,
        }
        client_data = json.dumps(said).encode()
        data = hashlib.sha256(RP_ID.encode()).digest() + struct.pack(">BI", _FLAGS, 0)
        signature = KEY.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        parts = {
            "clientDataJSON": client_data, "authenticatorData": data, "signature": signature,
            "userHandle": _handle(account),
        }  # fmt: skip
        credential = {
            "id": base64url(account.bytes), "rawId": base64url(account.bytes), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {name: base64url(part) for name, part in parts.items()},
        }  # fmt: skip
        return json.dumps({"challenge": challenge, "credential": credential}, separators=(",", ":"))


def _handle(account: UUID) -> bytes:
    return account.bytes + bytes(16)
