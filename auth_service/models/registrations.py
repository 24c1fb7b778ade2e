"""Registrations that nobody has come back to."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from auth_service.models.tables import USERS, Table
from auth_service.models.types import UtcDateTime


class UnusedRegistration(Table, table=True):
    """An account that somebody made for themselves, as long as the clean-up has to look whether it was ever used.

    Accounts that come from an import, an administrator or an operator have none, and so do those of older services:
    they stay.
    """

    __tablename__ = "registrations"

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    registered_at: datetime = Field(sa_type=UtcDateTime, index=True)


REGISTRATIONS = USERS.metadata.tables["registrations"]
