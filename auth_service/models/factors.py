"""Second factors of accounts, the codes for whoever lost one, and the challenges that are used up."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, String, text
from sqlmodel import Field
from uuid_utils.compat import uuid7

from auth_service.models.table import Table, UtcDateTime

ENROLMENT_LIFE = timedelta(minutes=10)  # of a factor that no code has confirmed yet


class FactorKind(StrEnum):
    TOTP = "totp"
    PASSKEY = "passkey"


class ResetReason(StrEnum):
    """Why all second factors of an account are gone, as the trail tells it."""

    DELAY_OVER = "delay_over"  # of what an administrator or an operator asked for, and nobody stopped
    OPERATOR = "operator"
    TAKEOVER = "takeover"  # whoever added them never had the mailbox of the account


class Factor(Table, table=True):
    """A second factor. It counts from `confirmed_at` on: an account with such a one has no sign-in by password alone.

    The secret of a TOTP is sealed under a key derived from the secret key that `secret_id` names. `last_step` is the
    time step of the last code that was used (RFC 6238, section 5.2): none is good twice.

    The other columns are of passkeys, which count from the start (Web Authentication Level 3, section 4, "credential
    record"). The `public_key` is a COSE key (RFC 9052); the `user_handle` is that of all passkeys of a user.
    """

    __tablename__ = "factors"
    __table_args__: ClassVar[Any] = (
        Index("ix_factors_user_id", "user_id"),
        Index("ix_factors_created_at", "created_at", postgresql_where=text("confirmed_at IS NULL")),
        Index("uq_factors_credential_id", "credential_id", unique=True),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    kind: str = Field(sa_type=String(16))
    name: str | None = Field(default=None, sa_type=String(64))
    secret: bytes | None = Field(default=None, sa_type=LargeBinary)
    secret_id: str | None = Field(default=None, sa_type=String(16))
    last_step: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime = Field(sa_type=UtcDateTime)
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    credential_id: bytes | None = Field(default=None, sa_type=LargeBinary)
    public_key: bytes | None = Field(default=None, sa_type=LargeBinary)
    sign_count: int | None = Field(default=None, sa_type=BigInteger)
    backup_eligible: bool | None = None
    backed_up: bool | None = None
    transports: str | None = Field(default=None, sa_type=String(128))  # parted by blanks
    aaguid: UUID | None = None
    user_handle: bytes | None = Field(default=None, sa_type=LargeBinary)


class RecoveryCode(Table, table=True):
    """A code that is good once in place of a second factor; the row is deleted by the statement that uses it.

    A hash that is not salted will do: 120 random bits cannot be guessed (OWASP ASVS 6.5.2 asks for 112).
    """

    __tablename__ = "recovery_codes"

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    code_hash: bytes = Field(primary_key=True, sa_type=LargeBinary(32))


class SpentChallenge(Table, table=True):
    """The digest of a challenge that led to a session; kept a day, so that a clock that steps back revives nothing."""

    __tablename__ = "spent_challenges"

    digest: bytes = Field(primary_key=True, sa_type=LargeBinary(32))
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


@dataclass(frozen=True)
class FactorView:
    """A confirmed factor as its owner sees it: columns of `Factor`, the last ones for passkeys alone."""

    id: UUID
    kind: str
    name: str | None
    created_at: datetime
    last_used_at: datetime | None
    credential_id: bytes | None
    backup_eligible: bool | None
    backed_up: bool | None
    transports: str | None
    user_handle: bytes | None = field(repr=False)

    @property
    def descriptor(self) -> "CredentialDescriptor | None":
        """What a browser is told to find a passkey by; None for a TOTP."""
        if self.credential_id is None:
            return None
        return CredentialDescriptor(self.credential_id, tuple((self.transports or "").split()))


@dataclass(frozen=True)
class CredentialDescriptor:
    """A passkey as a browser finds it (Web Authentication Level 3, section 5.8.3)."""

    credential_id: bytes
    transports: tuple[str, ...] = ()


@dataclass(frozen=True)
class PasskeyRecord:
    """A passkey as a signature of it is checked: columns of `Factor`."""

    id: UUID
    user_id: UUID
    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    user_handle: bytes = field(repr=False)


FACTORS = Table.metadata.tables["factors"]
RECOVERY_CODES = Table.metadata.tables["recovery_codes"]
SPENT_CHALLENGES = Table.metadata.tables["spent_challenges"]
