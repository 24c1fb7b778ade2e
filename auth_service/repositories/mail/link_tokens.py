"""The links of mails: one of a purpose for each user, under the hash of its token."""

from datetime import timedelta
from typing import Any

from sqlalchemy import literal, select

from auth_service.database.connection import Connection
from auth_service.models import LINK_TOKENS, OUTGOING_MAILS, USERS, DueMail, LinkPurpose, User

K, M = LINK_TOKENS.c, OUTGOING_MAILS.c


class LinkTokens:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now

    async def replace(
        self, user: User, purpose: LinkPurpose, token_hash: bytes, lifetime: timedelta, mail: DueMail | None
    ) -> bool:
        """Put a new link, for a mail that is claimed or for none, in the place of the one that the user had for it.

        False, and nothing is written, if the account is disabled, has another address or other credentials than it was
        read with, or is verified already where that is what the link is for; or if the mail was taken back, or
        another process has claimed it by now.
        """
        values: dict[str, Any] = {
            "user_id": USERS.c.id,
            "purpose": literal(purpose, K.purpose.type),
            "token_hash": literal(token_hash, K.token_hash.type),
            "email_canonical": USERS.c.email_canonical,
            "credential_epoch": USERS.c.credential_epoch,
            "new_email": literal(mail.details.get("new_email") if mail else None, K.new_email.type),
            "created_at": self._now(),
            "expires_at": self._now(lifetime),
            "used_at": literal(None, K.used_at.type),
        }
        may_have_it = select(*values.values()).where(
            USERS.c.id == user.id,
            USERS.c.is_active,
            USERS.c.email_canonical == user.email_canonical,
            USERS.c.credential_epoch == user.credential_epoch,
        )
        if mail is not None:
            claimed = select(M.id).where(M.id == mail.id, M.attempts == mail.attempts)
            may_have_it = may_have_it.where(claimed.exists())
        if purpose is LinkPurpose.VERIFY_EMAIL:
            may_have_it = may_have_it.where(USERS.c.is_verified.is_(False))
        insert = self._connection.dialect.insert(LINK_TOKENS)
        statement = insert.from_select(list(values), may_have_it)
        replaced = {name: statement.excluded[name] for name in values if name not in {"user_id", "purpose"}}
        statement = statement.on_conflict_do_update(index_elements=[K.user_id, K.purpose], set_=replaced)
        return (await self._connection.execute(statement.returning(K.user_id))).one_or_none() is not None
