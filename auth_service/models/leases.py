"""Which process does what only one is to do."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import String
from sqlmodel import Field

from auth_service.models.table import Table, UtcDateTime


class JobLease(Table, table=True):
    """A job that is at work somewhere. Whoever holds it renews it; after `expires_at` anybody may take it."""

    __tablename__ = "job_leases"

    job: str = Field(primary_key=True, sa_type=String(32))
    holder: UUID
    expires_at: datetime = Field(sa_type=UtcDateTime)


JOB_LEASES = Table.metadata.tables["job_leases"]
