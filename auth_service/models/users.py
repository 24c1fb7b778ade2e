"""The tables of users: their accounts, sessions, and registrations that nobody has come back to."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, LargeBinary, String, false, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, Relationship
from uuid_utils.compat import uuid7

from auth_service.models.table import IsoTimes, Table, UtcDateTime
from auth_service.roles import Role

# An older service, which knows no skeletons, has written the name.
LACKS_SKELETON = "username_canonical IS NOT NULL AND username_skeleton_of IS DISTINCT FROM username_canonical"

# Where an index is partial, the migrations say so for SQLite too; to say it here would import that dialect everywhere.


class User(Table, table=True):
    """A person. Raising `credential_epoch` ends every session that was opened before.

    The address is `email_assigned` if an administrator or an operator chose it since: who has that mailbox is not
    therefore whoever registered, and has no right to reset second factors.

    `sessions` is there where the statement that reads the user asked for it, and is never loaded later; the database
    deletes the sessions with the user.
    """

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_email_canonical", "email_canonical", unique=True),
        Index("uq_users_username_canonical", "username_canonical", unique=True),
        # Of a skeleton, the nil UUID is the twin of the first; see decision 12.
        Index(
            "uq_users_username_skeleton_username_twin",
            "username_skeleton",
            "username_twin",
            unique=True,
            postgresql_where=text("username_skeleton IS NOT NULL"),
        ),
        Index("ix_users_id_without_skeleton", "id", postgresql_where=text(LACKS_SKELETON)),
        # The order of lists, and what they filter by: they find the ids in here, without a look at the table.
        Index("ix_users_created_at_id", "created_at", "id", postgresql_include=["is_active", "is_verified", "role"]),
        Index("ix_users_role_created_at_id", "role", "created_at", "id", postgresql_where=text("role <> 'user'")),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    email: str = Field(sa_type=String(320))
    email_canonical: str = Field(sa_type=String(640))
    username: str | None = Field(default=None, sa_type=String(64))
    username_canonical: str | None = Field(default=None, sa_type=String(192))
    # What the name looks like, and which name that was: another than the row's, and an older service wrote that one.
    username_skeleton: str | None = Field(default=None, sa_type=String(255))
    username_skeleton_of: str | None = Field(default=None, sa_type=String(192))
    username_twin: UUID | None = None
    hashed_password: str = Field(sa_type=String(512))
    role: str = Field(default=Role.USER, sa_type=String(64))
    is_active: bool = True
    is_verified: bool = False
    email_assigned: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    credential_epoch: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    last_login_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sessions: list["RefreshToken"] = Relationship(
        back_populates="user",
        passive_deletes="all",
        sa_relationship_kwargs={
            "lazy": "raise",
            "order_by": "(RefreshToken.created_at.desc(), RefreshToken.id.desc())",
        },
    )


class RefreshToken(Table, table=True):
    """One signed-in device; the row stays, and its generation rises with each refresh. `id` is the `sid` claim.

    No index covers a column that a refresh changes, so that those updates stay in place (HOT) on PostgreSQL.
    """

    __tablename__ = "refresh_tokens"
    __table_args__: ClassVar[Any] = (
        Index("uq_refresh_tokens_secret_hash", "secret_hash", unique=True),
        Index("ix_refresh_tokens_user_id_expires_at", "user_id", "expires_at"),
        Index("ix_refresh_tokens_expires_at", "expires_at"),
        Index("ix_refresh_tokens_revoked_at", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 85}},
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    credential_epoch: int
    secret_hash: bytes = Field(sa_type=LargeBinary(32))
    generation: int = Field(default=0, sa_type=BigInteger)
    rotations: list[datetime] = Field(
        default_factory=list, sa_type=ARRAY(DateTime(timezone=True)).with_variant(IsoTimes(), "sqlite")
    )
    idempotency_hash: bytes | None = Field(default=None, sa_type=LargeBinary(32))
    created_at: datetime = Field(sa_type=UtcDateTime)
    last_used_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_reason: str | None = Field(default=None, sa_type=String(32))
    user_agent: str | None = Field(default=None, sa_type=String(256))  # of the sign-in, like ip
    ip: str | None = Field(default=None, sa_type=String(45))
    # The generation that the next three tell of. Another than the row's: a service that does not know them rotated it.
    rotated_to: int | None = Field(default=None, sa_type=BigInteger)
    rotated_user_agent: str | None = Field(default=None, sa_type=String(256))
    rotated_ip: str | None = Field(default=None, sa_type=String(45))
    idempotency_spent: bool | None = None
    # The beginnings, of eight bytes, of the hashes of the keys that came last, this one's too; the newest is first.
    idempotency_seen: bytes | None = Field(default=None, sa_type=LargeBinary)
    earlier_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # before the hour of last_used_at
    told_generation: int | None = Field(default=None, sa_type=BigInteger)  # the last that the trail has a replay of
    # What was proved at the sign-in, and when. None: an older service wrote it, so a password, at created_at.
    authenticated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    acr: str | None = Field(default=None, sa_type=String(16))
    amr: str | None = Field(default=None, sa_type=String(64))
    user: User = Relationship(back_populates="sessions", sa_relationship_kwargs={"lazy": "raise"})

    @property
    def last_user_agent(self) -> str | None:
        """That of the last refresh, if there was one and it is known; for administrators alone, like `last_ip`."""
        return self.rotated_user_agent if self.rotated_to == self.generation else None

    @property
    def last_ip(self) -> str | None:
        return self.rotated_ip if self.rotated_to == self.generation else None


class DeletedSession(Table, table=True):
    """The id of a session whose row is gone, written by a trigger: its access tokens may still be around."""

    __tablename__ = "deleted_sessions"

    session_id: UUID = Field(primary_key=True)
    deleted_at: datetime = Field(sa_type=UtcDateTime, index=True)


class UnusedRegistration(Table, table=True):
    """An account that somebody made for themselves, as long as the clean-up has to look whether it was ever used.

    Accounts that come from an import, an administrator or an operator have none, and so do those of older services:
    they stay.
    """

    __tablename__ = "registrations"

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    registered_at: datetime = Field(sa_type=UtcDateTime, index=True)


USERS = Table.metadata.tables["users"]
REFRESH_TOKENS = Table.metadata.tables["refresh_tokens"]
DELETED_SESSIONS = Table.metadata.tables["deleted_sessions"]
REGISTRATIONS = Table.metadata.tables["registrations"]
