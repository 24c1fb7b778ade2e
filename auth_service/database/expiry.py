"""The end of rows that mean nothing after their time."""

from sqlalchemy import Table, delete, func, select

from auth_service.database.connection import Connection


async def delete_expired(connection: Connection, table: Table, limit: int) -> int:
    """Delete up to `limit` rows whose `expires_at` is over, the oldest first, without locked ones; return how many."""
    dialect = connection.dialect
    address = dialect.row_address(table)
    is_over = table.c.expires_at <= dialect.statement_time()
    found = select(address).where(is_over).order_by(table.c.expires_at).limit(limit)
    gone = delete(table).where(dialect.is_among(address, found.with_for_update(skip_locked=True)))
    return (await connection.session.exec(gone)).rowcount


async def count_expired(connection: Connection, table: Table) -> int:
    """Return how many rows there are whose `expires_at` is over."""
    is_over = table.c.expires_at <= connection.dialect.statement_time()
    return int((await connection.execute(select(func.count()).select_from(table).where(is_over))).scalar_one())
