"""The end of rows that mean nothing after their time."""

from sqlalchemy import Table, delete, select

from auth_service.database.connection import Connection


async def delete_expired(connection: Connection, table: Table, limit: int) -> int:
    """Delete up to `limit` rows whose `expires_at` is over, skipping those that are locked; return how many."""
    dialect = connection.dialect
    address = dialect.row_address(table)
    found = select(address).where(table.c.expires_at <= dialect.statement_time()).limit(limit)
    gone = delete(table).where(dialect.is_among(address, found.with_for_update(skip_locked=True)))
    return (await connection.session.exec(gone)).rowcount
