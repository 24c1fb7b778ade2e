"""What is left in the database of somebody who was deleted."""

from uuid import UUID

from auth_service.models import USERS

from .sql import run_sql

_TABLES = {table.name: "user_id" for table in USERS.metadata.sorted_tables if "user_id" in table.c} | {"users": "id"}
_MAIL = """
INSERT INTO outgoing_mails (id, kind, user_id, details, created_at, attempts, due_at)
SELECT id, 'new-device', id, '{}', created_at, 0, created_at FROM users WHERE id = $1
"""
_LINK = """
INSERT INTO link_tokens (user_id, purpose, token_hash, email_canonical, credential_epoch, created_at, expires_at)
SELECT id, 'confirm-email-change', '0123456789abcdef', email_canonical, 0, created_at, created_at
FROM users WHERE id = $1
"""
_CHANGE = """
INSERT INTO pending_changes (user_id, kind, new_email, asked_at, effective_at)
SELECT id, 'email', 'other@example.com', created_at, created_at FROM users WHERE id = $1
"""
_REGISTRATION = """
INSERT INTO registrations (user_id, registered_at) SELECT id, created_at FROM users WHERE id = $1 AND NOT EXISTS
(SELECT 1 FROM registrations WHERE user_id = users.id)
"""


async def left_of(url: str, user_id: str) -> dict[str, int]:
    """Each table that names the user, and in how many rows."""
    counts = {}
    for table, column in _TABLES.items():
        ((counts[table],),) = await run_sql(url, f"SELECT count(*) FROM {table} WHERE {column} = $1", _id(url, user_id))
    return {table: rows for table, rows in counts.items() if rows}


async def hang_mail_on(url: str, user_id: str) -> None:
    """Give a user a mail that is to be sent, a link, a change that is to take effect, and a registration."""
    for statement in (_MAIL, _LINK, _CHANGE, _REGISTRATION):
        await run_sql(url, statement, _id(url, user_id))


def _id(url: str, user_id: str) -> str:
    return UUID(user_id).hex if url.startswith("sqlite") else user_id
