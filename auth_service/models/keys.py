"""The table of signing keys, and the life of a key, as a pure rule: it is told the time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Index, LargeBinary, String, text
from sqlmodel import Field

from auth_service.models.table import DoubtfulTexts, DoubtfulTime, Table


class KeyState(StrEnum):
    PENDING = "pending"  # published, not yet used
    ACTIVE = "active"  # signs; at most one
    RETIRED = "retired"  # still verifies what it signed


class SigningKey(Table, table=True):
    """A key pair that signs access tokens; the private half is encrypted under a key derived from the secret key.

    Whoever can write to the table may have written a row: where `public_jwk` or `created_at` cannot be read, it is
    None, and the key is none of ours.
    """

    __tablename__ = "signing_keys"
    __table_args__ = (
        Index("uq_signing_keys_one_active", "state", unique=True, postgresql_where=text("state = 'active'")),
    )

    kid: str = Field(primary_key=True, sa_type=String(64))
    algorithm: str = Field(sa_type=String(16))
    public_jwk: dict[str, str] = Field(sa_type=DoubtfulTexts)
    private_key: bytes = Field(sa_type=LargeBinary)
    secret_id: str = Field(sa_type=String(16))
    state: str = Field(sa_type=String(16))
    created_at: datetime = Field(sa_type=DoubtfulTime)
    activated_at: datetime | None = Field(default=None, sa_type=DoubtfulTime)
    retired_at: datetime | None = Field(default=None, sa_type=DoubtfulTime)


SIGNING_KEYS = Table.metadata.tables["signing_keys"]


class KeyStep(StrEnum):
    """One step in the life of a signing key."""

    ADD = "add"
    RETIRE = "retire"
    ACTIVATE = "activate"
    REMOVE = "remove"


PUBLISHED_FIRST = timedelta(minutes=6)  # the key set's max-age of 300 s, and a minute for every process to publish it
RETIRED_FOR = timedelta(minutes=12)  # the longest life of an access token, its leeway, and a minute to follow


def due_steps(keys: Sequence[SigningKey], now: datetime, rotation_interval: timedelta) -> list[tuple[KeyStep, str]]:
    """Say what is due for these keys, oldest first: each step with the `kid` it is about ('' for a key to be added).

    A key is published before it signs, and verifies until the last token that it signed has expired. An interval of
    zero means that nothing is rotated by itself.
    """
    pending = [key for key in keys if key.state == KeyState.PENDING]
    active = [key for key in keys if key.state == KeyState.ACTIVE]
    steps = [
        (KeyStep.REMOVE, key.kid)
        for key in keys
        if key.state == KeyState.RETIRED and key.retired_at and now - key.retired_at >= RETIRED_FOR
    ]
    if pending and now - pending[0].created_at >= PUBLISHED_FIRST:
        steps += [(KeyStep.RETIRE, key.kid) for key in active]
        steps.append((KeyStep.ACTIVATE, pending[0].kid))
    elif not pending and rotation_interval and any(_is_old(key, now, rotation_interval) for key in active):
        steps.append((KeyStep.ADD, ""))
    return steps


def next_change(keys: Sequence[SigningKey], rotation_interval: timedelta) -> datetime | None:
    """When the key that signs is to be followed by the next one; None if nothing is rotated by itself."""
    pending = [key for key in keys if key.state == KeyState.PENDING]
    if pending:
        return pending[0].created_at + PUBLISHED_FIRST
    since = [key.activated_at for key in keys if key.state == KeyState.ACTIVE and key.activated_at]
    return since[0] + rotation_interval if since and rotation_interval else None


def _is_old(key: SigningKey, now: datetime, rotation_interval: timedelta) -> bool:
    return key.activated_at is not None and now - key.activated_at >= rotation_interval - PUBLISHED_FIRST
