"""What the schema says about services that are older than it."""

from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, SmallInteger, String
from sqlmodel import Field

from auth_service.models.table import Table


class SchemaCompatibility(Table, table=True):
    """The oldest revision whose service still works on the schema, in the one row: each migration writes its own."""

    __tablename__ = "schema_compatibility"
    __table_args__: ClassVar[Any] = (CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    oldest_served: str = Field(sa_type=String(32))


SCHEMA_COMPATIBILITY = Table.metadata.tables["schema_compatibility"]
