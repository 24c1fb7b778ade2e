"""Lists, searches and counts of users, for those who look after them. Nothing in here decides who gets in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, tuple_
from sqlalchemy.orm import joinedload
from sqlmodel import col, select
from sqlmodel.sql.expression import Select

from auth_service.database.connection import Connection
from auth_service.identifiers.fragments import spell_fragment
from auth_service.models import FACTORS, FactorKind, FactorPolicy, RefreshToken, Role, Slice, User
from auth_service.repositories.sessions.user_sessions import page_of_user

COUNTED = 10_000  # in the planner's units: as much as a scan of 80 MiB; what would cost more is estimated


class UserFilter(NamedTuple):
    """Which users are asked for; None asks for all.

    `fragment` is part of an address or a username, as they are shown, and `name` the whole of one in canonical form.
    `created_from` is included, `created_to` is not. `seen_within` is the time since the last sign-in. `without_factor`
    is the policy by which they must have a second factor or a passkey, and have none; if it asks nobody for one, all
    who have no factor.
    """

    fragment: str | None = None
    name: str | None = None
    role: str | None = None
    is_active: bool | None = None
    is_verified: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    seen_within: timedelta | None = None
    without_factor: FactorPolicy | None = None


class Count(NamedTuple):
    number: int
    is_estimate: bool = False


class UserSearch:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find_page(
        self, wanted: UserFilter, limit: int, *, offset: int = 0, before: tuple[datetime, UUID] | None = None
    ) -> Sequence[User]:
        """The newest users that match, after so many others, or those created `before` a time and an id.

        The ids come first, from an index that has all that is filtered by: the rows that are skipped are never read.
        """
        created_at, id_ = col(User.created_at), col(User.id)
        page = self._ids(wanted).order_by(created_at.desc(), id_.desc()).limit(limit).offset(offset)
        if before is not None:
            page = page.where(tuple_(created_at, id_) < before)
        chosen = page.subquery()
        statement = select(User).join(chosen, chosen.c.id == id_)
        newest_first = statement.order_by(chosen.c.created_at.desc(), chosen.c.id.desc())
        return (await self._connection.session.exec(newest_first)).all()

    async def count(self, wanted: UserFilter) -> Count:
        """How many users match: counted, or estimated where PostgreSQL expects that counting takes long."""
        matching = self._ids(wanted)
        dialect, session = self._connection.dialect, self._connection.session
        if (estimate := await dialect.estimated_rows(session, matching, COUNTED)) is not None:
            return Count(estimate, is_estimate=True)
        return Count((await session.exec(select(func.count()).select_from(matching.subquery()))).one())

    async def find_with_sessions(
        self, user_id: UUID, idle: timedelta, wanted: Slice, *, ended_too: bool
    ) -> User | None:
        """A user and their sessions, the newest first, by one statement: those alive, or all that are kept.

        One more than wanted, if there are as many.
        """
        page = page_of_user(self._connection.dialect, user_id, idle, wanted, ended_too=ended_too)
        sessions: Any = User.sessions  # SQLModel types a relationship as its value
        chosen = joinedload(sessions.and_(col(RefreshToken.id).in_(page)))
        statement = select(User).where(col(User.id) == user_id).options(chosen)
        return (await self._connection.session.exec(statement)).unique().one_or_none()

    def _ids(self, wanted: UserFilter) -> Select[UUID, datetime]:
        return select(col(User.id), col(User.created_at)).where(*self._conditions(wanted))

    def _conditions(self, wanted: UserFilter) -> list[ColumnElement[bool]]:
        exact = ((User.role, wanted.role), (User.is_active, wanted.is_active), (User.is_verified, wanted.is_verified))
        found = [col(column) == value for column, value in exact if value is not None]
        names = (col(User.email_canonical), col(User.username_canonical))
        if wanted.fragment is not None:
            found.append(_has(wanted.fragment))
        if wanted.name is not None:
            found.append(or_(*(name == wanted.name for name in names)))
        if wanted.created_from is not None:
            found.append(col(User.created_at) >= wanted.created_from)
        if wanted.created_to is not None:
            found.append(col(User.created_at) < wanted.created_to)
        if wanted.seen_within is not None:
            found.append(col(User.last_login_at) > self._connection.dialect.statement_time(-wanted.seen_within))
        if wanted.without_factor is not None:
            found += _lacks_factor(wanted.without_factor)
        return found


def _has(text: str) -> ColumnElement[bool]:
    """Where there is pg_trgm, the canonical forms have an index, and so has the question for the others' domains."""
    fragment, canonical = spell_fragment(text), col(User.email_canonical)
    given = (func.lower(col(User.email)).contains(part, autoescape=True) for part in fragment.of_given_emails)
    return or_(
        *(canonical.contains(part, autoescape=True) for part in fragment.of_emails),
        col(User.username_canonical).contains(fragment.of_username, autoescape=True),
        and_(canonical.contains("xn--"), or_(*given)),
    )


def _lacks_factor(policy: FactorPolicy) -> list[ColumnElement[bool]]:
    """Who has not what the policy asks of the role: a passkey, or any factor. If it asks nobody, who has no factor."""
    kinds = [FactorKind.PASSKEY if policy.asks_for_passkey(role) else None for role in (Role.ADMIN, Role.USER)]
    admins, others = policy.asks(Role.ADMIN), policy.asks(Role.USER)
    if admins == others and kinds[0] == kinds[1]:
        return [_has_none(kinds[0])]
    is_admin = col(User.role) == Role.ADMIN
    asked = ((admins, is_admin, kinds[0]), (others, ~is_admin, kinds[1]))
    return [or_(*(and_(of_role, _has_none(kind)) for is_asked, of_role, kind in asked if is_asked))]


def _has_none(kind: FactorKind | None) -> ColumnElement[bool]:
    counting = exists().where(FACTORS.c.user_id == col(User.id), FACTORS.c.confirmed_at.is_not(None))
    return ~(counting.where(FACTORS.c.kind == kind) if kind else counting)
