"""Lists, searches and counts of users, for those who look after them. Nothing in here decides who gets in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, tuple_
from sqlalchemy.orm import joinedload
from sqlmodel import select

from auth_service.database.connection import Connection
from auth_service.models import USERS, RefreshToken, User

U = USERS.c
WHOSE: Any = User  # SQLModel types an attribute as its value
SESSION: Any = RefreshToken
COUNTED = 10_000  # in the planner's units: as much as a scan of 80 MiB; what would cost more is estimated


@dataclass(frozen=True)
class UserFilter:
    """Which users are asked for, names in canonical form; None asks for all.

    `fragment` is part of an address or a username, `name` the whole of one. `created_from` is included, `created_to` is
    not. `seen_within` is the time since the last sign-in.
    """

    fragment: str | None = None
    name: str | None = None
    role: str | None = None
    is_active: bool | None = None
    is_verified: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    seen_within: timedelta | None = None


@dataclass(frozen=True)
class Count:
    number: int
    is_estimate: bool = False


class UserSearch:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._now = connection.dialect.now

    async def find_page(
        self, wanted: UserFilter, limit: int, *, offset: int = 0, before: tuple[datetime, UUID] | None = None
    ) -> Sequence[User]:
        """The newest users that match, after so many others, or those created `before` a time and an id.

        The ids come first, from an index that has all that is filtered by: the rows that are skipped are never read.
        """
        page = self._ids(wanted).order_by(U.created_at.desc(), U.id.desc()).limit(limit).offset(offset)
        if before is not None:
            last = tuple_(literal(before[0], U.created_at.type), literal(before[1], U.id.type))
            page = page.where(tuple_(U.created_at, U.id) < last)
        chosen = page.subquery()
        statement = (
            select(User).join(chosen, chosen.c.id == U.id).order_by(chosen.c.created_at.desc(), chosen.c.id.desc())
        )
        return (await self._connection.session.exec(statement)).all()

    async def count(self, wanted: UserFilter) -> Count:
        """How many users match: counted, or estimated where PostgreSQL expects that counting takes long."""
        matching = self._ids(wanted)
        dialect, session = self._connection.dialect, self._connection.session
        if (estimate := await dialect.estimated_rows(session, matching, COUNTED)) is not None:
            return Count(estimate, is_estimate=True)
        return Count((await session.exec(select(func.count()).select_from(matching.subquery()))).one())

    async def find_with_sessions(self, user_id: UUID, idle: timedelta, *, ended_too: bool) -> User | None:
        """A user and their sessions, the newest first, by one statement: those alive, or all whose rows are kept."""
        alive = and_(
            SESSION.revoked_at.is_(None),
            SESSION.expires_at > self._now(),
            SESSION.last_used_at > self._now(-idle),
            SESSION.credential_epoch == WHOSE.credential_epoch,
        )
        chosen = WHOSE.sessions if ended_too else WHOSE.sessions.and_(alive)
        statement = select(User).where(U.id == user_id).options(joinedload(chosen))
        return (await self._connection.session.exec(statement)).unique().one_or_none()

    def _ids(self, wanted: UserFilter) -> Select[Any]:
        return select(U.id, U.created_at).where(*self._conditions(wanted))

    def _conditions(self, wanted: UserFilter) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        for column in (U.role, U.is_active, U.is_verified):
            value = getattr(wanted, column.name)
            if value is not None:
                found.append(column.is_(value) if isinstance(value, bool) else column == value)
        if wanted.fragment is not None:
            names = (U.email_canonical, U.username_canonical)
            found.append(or_(*(name.contains(wanted.fragment, autoescape=True) for name in names)))
        if wanted.name is not None:
            found.append(or_(U.email_canonical == wanted.name, U.username_canonical == wanted.name))
        if wanted.created_from is not None:
            found.append(U.created_at >= wanted.created_from)
        if wanted.created_to is not None:
            found.append(U.created_at < wanted.created_to)
        if wanted.seen_within is not None:
            found.append(U.last_login_at > self._connection.dialect.statement_time(-wanted.seen_within))
        return found
