"""Questions about users, and the statements that change them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, and_, bindparam, exists, insert, true, update
from sqlmodel import select

from auth_service.database.connection import Connection
from auth_service.database.prepared import Prepared
from auth_service.errors import AccountExists
from auth_service.models import (
    FACTORS,
    REFRESH_TOKENS,
    USERS,
    AccountView,
    LoginAccount,
    SecurityEvent,
    User,
)
from auth_service.repositories.audit.events import AuditEvents
from auth_service.repositories.throttles.lookups import Lookup
from auth_service.repositories.users.pending_changes import AWAITS_RESET
from auth_service.repositories.users.skeletons import Skeletons


def is_alive(session_id: Any, now: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether this session of the user is alive, as far as the session goes."""
    session = REFRESH_TOKENS.c
    return (
        select(session.id)
        .where(session.id == session_id, session.user_id == USERS.c.id, session.revoked_at.is_(None))
        .where(session.credential_epoch == USERS.c.credential_epoch, session.expires_at > now)
        .exists()
    )


def change_credentials(now: ColumnElement[Any], **values: Any) -> Update:
    """An update that raises the epoch: sessions from before, and logins under way, are good no more.

    Nor are links, but for those that let in whoever has a mailbox that was never verified.
    """
    return update(USERS).values(**values, credential_epoch=USERS.c.credential_epoch + 1, updated_at=now)


def is_user(whose: UUID | str) -> ColumnElement[bool]:
    return USERS.c.email_canonical == whose if isinstance(whose, str) else USERS.c.id == whose


def _columns(type_: Any) -> list[Any]:
    return [USERS.c[field.name] for field in fields(type_) if field.name in USERS.c]


_HAS_FACTOR = exists().where(FACTORS.c.user_id == USERS.c.id, FACTORS.c.confirmed_at.is_not(None))
_ASKED: list[Any] = [
    *_columns(LoginAccount),
    _HAS_FACTOR.label("has_factor"),
    and_(_HAS_FACTOR, AWAITS_RESET).label("awaits_reset"),  # in this order: without a factor, nothing is looked up
]
_LOGIN = select(*_ASKED)
_BY_EMAIL = Prepared(lambda _clock: _LOGIN.where(USERS.c.email_canonical == bindparam("email")))
_BY_USERNAME = Prepared(lambda _clock: _LOGIN.where(USERS.c.username_canonical == bindparam("username")))
_NAMES = [field.name for field in fields(LoginAccount)]


def _read(row: Mapping[Any, Any]) -> LoginAccount:
    return LoginAccount(*(row[name] for name in _NAMES))


def by_email(email_canonical: str) -> Lookup[LoginAccount]:
    """Look an account up by its e-mail address."""
    return Lookup(_BY_EMAIL, {"email": email_canonical}, _read)


def by_username(username_canonical: str) -> Lookup[LoginAccount]:
    """The same by its username."""
    return Lookup(_BY_USERNAME, {"username": username_canonical}, _read)


def _by_session(*columns: Any) -> Prepared:
    return Prepared(
        lambda clock: select(*columns).where(
            USERS.c.id == bindparam("user_id"), USERS.c.is_active, is_alive(bindparam("session_id"), clock.at())
        )
    )


_BY_SESSION = _by_session(USERS)
_VIEW = _by_session(*_columns(AccountView))


class Users:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._audit = audit

    async def add(self, values: dict[str, Any]) -> User:
        """Insert a user with these columns; raises `AccountExists`, which only the unique indexes decide.

        Also of a username that looks like another's; of two such names at the same moment, one of the transactions
        raises `TransactionConflict`.
        """
        draft = self._draft(values)
        await self._place(draft)
        statement = insert(USERS).values(**draft).returning(USERS)
        (row,) = await self._audit.execute(statement, SecurityEvent.ACCOUNT_REGISTERED, user="id")
        return User(**row)

    async def add_unless_taken(self, values: dict[str, Any]) -> User | None:
        """As `add`, but None if the e-mail address or the username is already taken: the transaction goes on."""
        insert = self._connection.dialect.insert(USERS)
        statement = insert.values(**self._draft(values)).on_conflict_do_nothing().returning(USERS)
        rows = await self._audit.execute(statement, SecurityEvent.ACCOUNT_REGISTERED, user="id")
        return User(**rows[0]) if rows else None

    def _draft(self, values: dict[str, Any]) -> dict[str, Any]:
        now = self._now()
        return User(**values).model_dump(exclude={"created_at", "updated_at"}) | {"created_at": now, "updated_at": now}

    async def _place(self, columns: dict[str, Any]) -> None:
        if columns["username_skeleton"] and not all(await Skeletons(self._connection).place([columns])):
            raise AccountExists

    async def find_by_email(self, email_canonical: str) -> LoginAccount | None:
        return await by_email(email_canonical).find(self._connection)

    async def find_by_username(self, username_canonical: str) -> LoginAccount | None:
        return await by_username(username_canonical).find(self._connection)

    async def find_user(self, whose: UUID | str) -> User | None:
        """The user of an id or of a canonical e-mail address."""
        if isinstance(whose, UUID):
            return await self._connection.session.get(User, whose, populate_existing=True)
        return (await self._connection.session.exec(select(User).where(is_user(whose)))).one_or_none()

    async def hold(self, user_id: UUID) -> bool:
        """Keep an account from being deleted until the transaction ends; False if it is gone."""
        held = select(USERS.c.id).where(USERS.c.id == user_id).with_for_update(read=True, key_share=True)
        return (await self._connection.execute(held)).one_or_none() is not None

    async def lock(self, user_id: UUID) -> User | None:
        """The user of an id, whom no other transaction changes until this one ends."""
        statement = select(User).where(is_user(user_id)).with_for_update(key_share=True)
        return (await self._connection.session.exec(statement)).one_or_none()

    async def find_by_session(self, user_id: UUID, session_id: UUID) -> User | None:
        """The user, if this session of theirs is alive."""
        rows = await _BY_SESSION.execute(self._connection, user_id=user_id, session_id=session_id)
        return User(**rows[0]) if rows else None

    async def view_by_session(self, user_id: UUID, session_id: UUID) -> AccountView | None:
        """The same as far as it is shown, which is read much faster."""
        rows = await _VIEW.execute(self._connection, user_id=user_id, session_id=session_id)
        return AccountView(**rows[0]) if rows else None

    async def change_password(self, user: User, hashed_password: str, *, by_link: bool = False) -> int | None:
        """Set a new hash and raise the credential epoch; return the new epoch.

        None after another change: the epoch is no longer the one that was verified. The hash may be another one: a
        login that renews an outdated hash changes nothing else. A user of a link in a mail has the mailbox too.
        """
        statement = (
            change_credentials(
                self._now(), hashed_password=hashed_password, is_verified=true() if by_link else USERS.c.is_verified
            )
            .where(USERS.c.id == user.id, USERS.c.is_active)
            .where(USERS.c.credential_epoch == user.credential_epoch)
            .returning(USERS.c.id, USERS.c.credential_epoch)
        )
        event = SecurityEvent.PASSWORD_RESET if by_link else SecurityEvent.PASSWORD_CHANGED
        rows = await self._audit.execute(statement, event, user="id")
        return rows[0]["credential_epoch"] if rows else None

    async def remove_password(self, user_id: UUID, unusable: str) -> None:
        """Let the `unusable` hash be that of a user. Sessions go on, so the credential epoch stays."""
        removed = update(USERS).values(hashed_password=unusable, updated_at=self._now()).where(USERS.c.id == user_id)
        await self._audit.execute(removed.returning(USERS.c.id), SecurityEvent.PASSWORD_REMOVED, user="id")

    async def raise_epoch(self, user_id: UUID) -> int:
        """Let no session of a user who is locked, and no login under way, be good any more; return the new epoch."""
        raised = change_credentials(self._now()).where(USERS.c.id == user_id).returning(USERS.c.credential_epoch)
        epoch: int = (await self._connection.execute(raised)).scalar_one()
        return epoch

    async def rename(self, user_id: UUID, session_id: UUID, name: Mapping[str, str | None]) -> User | None:
        """Give a user another name, of these columns; None if that session of theirs is not alive any more.

        Raises as `add`.
        """
        columns = {"id": user_id, "username_twin": None, **name}
        await self._place(columns)
        del columns["id"]
        statement = (
            update(USERS)
            .values(**columns, updated_at=self._now())
            .where(USERS.c.id == user_id, USERS.c.is_active, is_alive(session_id, self._now()))
            .returning(USERS)
        )
        rows = await self._audit.execute(statement, SecurityEvent.ACCOUNT_RENAMED, user="id")
        return User(**rows[0]) if rows else None

    async def renew_hash(self, account: LoginAccount, replacement: str) -> None:
        """Replace an outdated hash of the password that was verified. Never waits: see `Logins.settle`."""
        unlocked = select(USERS.c.id).where(USERS.c.id == account.id).with_for_update(skip_locked=True, key_share=True)
        statement = (
            update(USERS)
            .values(hashed_password=replacement, updated_at=self._now())
            .where(USERS.c.id.in_(unlocked), USERS.c.hashed_password == account.hashed_password)
            .returning(USERS.c.id)
        )
        await self._audit.execute(statement, SecurityEvent.PASSWORD_REHASHED, user="id")
