"""The tables of mail: what is still to be sent, and the links of what was."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, Index, LargeBinary, String
from sqlmodel import Field
from uuid_utils.compat import uuid7

from auth_service.models.tables import USERS, Table
from auth_service.models.types import UtcDateTime


class OutgoingMail(Table, table=True):
    """A mail that is still to be sent: written with the change that it tells of, deleted once a server has taken it.

    It holds no link: the token of a link is made when the mail is sent, and only its hash is kept (`link_tokens`).
    Without `user_id` the owner is the account that has the address `recipient` when it is sent, if any; with both, it
    goes to `recipient` instead of the account's own address.
    """

    __tablename__ = "outgoing_mails"
    __table_args__: ClassVar[Any] = ({"postgresql_with": {"fillfactor": 85}},)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: str = Field(sa_type=String(32))
    user_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="CASCADE", index=True)
    recipient: str | None = Field(default=None, sa_type=String(640))
    details: dict[str, str | int] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    attempts: int = 0
    due_at: datetime = Field(sa_type=UtcDateTime, index=True)


class LinkToken(Table, table=True):
    """The one link of a purpose that a user can use now; a newer one takes its place.

    Bound to the address of its user at that time, and unless it is for whoever has a mailbox that was never verified,
    to the credentials: guards of the statement that uses it.
    """

    __tablename__ = "link_tokens"
    __table_args__: ClassVar[Any] = (Index("uq_link_tokens_token_hash", "token_hash", unique=True),)

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    purpose: str = Field(primary_key=True, sa_type=String(32))
    token_hash: bytes = Field(sa_type=LargeBinary(32))
    email_canonical: str = Field(sa_type=String(640))
    credential_epoch: int
    new_email: str | None = Field(default=None, sa_type=String(320))
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


OUTGOING_MAILS = USERS.metadata.tables["outgoing_mails"]
LINK_TOKENS = USERS.metadata.tables["link_tokens"]
