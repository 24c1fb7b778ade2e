"""Stored password hashes, counted by kind where they lie: none of them leaves the database but one of each kind."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, func
from sqlmodel import col, select

from auth_service.database.connection import Connection
from auth_service.models import AuditEvent, SecurityEvent, User

# What stands between two $ and is neither a scheme nor a parameter: a salt or a digest. What looks like one by chance
# makes a kind of its own here, and the example shows that it is the same. Without any $, what follows a } is both.
_KEPT = (
    r"\d{1,9}|2[abxy]?|argon2(id|i|d)|pbkdf2(-sha\d+)?|scrypt|(bcrypt|firebase)-\w+|apr1|s0|[0-9a-f]{5,6}"
    r"|[a-z]+=\w+(,[a-z]+=\w+)*"
)
_SALTS = rf"\$(?!({_KEPT})(\$|$))[^$]*|(?<=\}})[^$]+$"
# These have their parameters in as many letters as these at the beginning.
_IN_LETTERS = {"$7$": 14, "$P$": 4, "$H$": 4, "$S$": 4, "U$S$": 5}


class StoredHashRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now

    async def kinds(self) -> Sequence[tuple[str, int, int]]:
        """For each kind of hash: an example, how many accounts have one, and how many of them ever signed in."""
        hashed = col(User.hashed_password)
        kind = case(
            *((hashed.startswith(start), func.substr(hashed, 1, length)) for start, length in _IN_LETTERS.items()),
            else_=func.regexp_replace(hashed, _SALTS, "$", "g"),
        )
        told = (
            func.min(hashed).label("example"),
            func.count().label("accounts"),
            func.count(col(User.last_login_at)).label("signed_in"),
        )
        return (await self._connection.session.exec(select(*told).group_by(kind))).all()

    async def last_import(self) -> tuple[datetime, datetime | None]:
        """The time now, and that of the newest accounts from another system, if the trail knows of any."""
        newest = select(func.max(col(AuditEvent.at))).where(AuditEvent.event == SecurityEvent.ACCOUNTS_IMPORTED)
        now, found = (await self._connection.session.exec(select(self._now(), newest.scalar_subquery()))).one()
        return now, found

    async def renewed_since(self, since: datetime) -> int:
        """How many outdated hashes were replaced at a sign-in since then."""
        is_renewed = col(AuditEvent.event) == SecurityEvent.PASSWORD_REHASHED
        renewed = select(func.count()).where(is_renewed, col(AuditEvent.at) >= since)
        return (await self._connection.session.exec(renewed)).one()
