"""What a sign-in of several steps goes on with: `chl_` + base64url(key id, purpose, user, epoch, passed, time, random,
tag).

The database knows nothing of a challenge until it is used up, so nobody who does not finish costs a row. The tag is an
HMAC, as in refresh tokens: a forged one costs no query.
"""

import base64
import hashlib
import hmac
import re
import secrets
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, IntFlag
from uuid import UUID

from auth_service.security.keys import KEY_ID_BYTES, DerivedKeys, SecretKeys, base64url, hkdf, hmac_sha256

PREFIX = "chl_"
LIFE = timedelta(minutes=5)
LEEWAY = timedelta(seconds=5)  # each process reckons the database's time for itself, and may be a little behind
RANDOM_BYTES = 16
TAG_BYTES = 16

_LAYOUT = struct.Struct(f">{KEY_ID_BYTES}sB16sIBI{RANDOM_BYTES}s{TAG_BYTES}s")
_SHAPE = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{83}")


class ChallengePurpose(IntEnum):
    """What a challenge may be used for, and nothing else."""

    SECOND_FACTOR = 1  # to sign in with the factor that the account has
    ENROLMENT = 2  # to sign in by adding the factor that the account must have
    PASSKEY_LOGIN = 3  # to sign in with a passkey of whoever it is of
    PASSKEY_ENROLMENT = 4  # to add a passkey to the account
    STEP_UP = 5  # to prove again, with a passkey, whose session it is


class Passed(IntFlag):
    """What was proved already."""

    NOTHING = 0
    PASSWORD = 1
    CODE = 2  # of an app, or a recovery code


@dataclass(frozen=True)
class Challenge:
    """What a well-formed challenge with a valid tag says. `digest` is the form in which it is stored once used up."""

    purpose: ChallengePurpose
    user_id: UUID
    credential_epoch: int
    passed: Passed
    issued_at: int
    key_id: bytes
    digest: bytes = field(repr=False)

    @property
    def good_until(self) -> datetime:
        return datetime.fromtimestamp(self.issued_at, UTC) + LIFE

    def is_over(self, now: float) -> bool:
        """Whether it has expired, or is of a later time than `now`, the database's in seconds since 1970."""
        return not -LEEWAY.total_seconds() <= now - self.issued_at <= LIFE.total_seconds()


class ChallengeCodec:
    """Makes and reads challenges."""

    def __init__(self, keys: SecretKeys) -> None:
        self._keys = keys

    def issue(
        self, purpose: ChallengePurpose, user_id: UUID, credential_epoch: int, passed: Passed, now: datetime
    ) -> str:
        """Return a new challenge for a user whose credentials are of this epoch."""
        keys, issued_at = self._keys.newest, int(now.timestamp())
        said = (keys.id, purpose, user_id.bytes, credential_epoch, passed, issued_at, secrets.token_bytes(RANDOM_BYTES))
        packed = _LAYOUT.pack(*said, b"")
        return PREFIX + base64url(packed[:-TAG_BYTES] + _tag(keys, packed))

    def read(self, challenge: str, purpose: ChallengePurpose) -> Challenge | None:
        """Return what it says, or None if we did not make it for this purpose. Its time is for the caller to judge."""
        if not _SHAPE.fullmatch(challenge):
            return None
        packed = base64.urlsafe_b64decode(challenge.removeprefix(PREFIX) + "=")
        if base64url(packed) != challenge.removeprefix(PREFIX):
            return None  # the unused bits of the last character must be zero: one challenge, one spelling
        key_id, found, user, epoch, passed, issued_at, _, tag = _LAYOUT.unpack(packed)
        keys = self._keys.find_by_id(key_id)
        if keys is None or not hmac.compare_digest(tag, _tag(keys, packed)) or found != purpose:
            return None
        digest = hashlib.sha256(packed).digest()
        return Challenge(purpose, UUID(bytes=user), epoch, Passed(passed), issued_at, key_id, digest)

    def secret_of(self, challenge: Challenge, length: int) -> bytes:
        """Return the secret of an enrolment by this challenge: the same however often it is asked for."""
        keys = self._keys.find_by_id(challenge.key_id) or self._keys.newest
        return hkdf(keys.enrolments, challenge.digest, length)

    def user_handle_of(self, challenge: Challenge) -> bytes:
        """Return what authenticators know the user of a challenge by: 32 bytes that tell nothing of the account, and
        are the same for several passkeys that are added at once (Web Authentication Level 3, section 14.6.1).
        """
        keys = self._keys.find_by_id(challenge.key_id) or self._keys.newest
        return hkdf(keys.enrolments, b"user handle" + challenge.user_id.bytes, 32)


def _tag(keys: DerivedKeys, packed: bytes) -> bytes:
    return hmac_sha256(keys.challenges, packed[:-TAG_BYTES])[:TAG_BYTES]
