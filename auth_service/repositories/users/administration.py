"""What administrators, operators and owners do to a whole account: its address, its role, its state, its end."""

from uuid import UUID

from sqlalchemy import delete, func, or_, true, update
from sqlmodel import select

from auth_service.database.connection import Connection
from auth_service.models import USERS, Role, SecurityEvent
from auth_service.repositories.audit.events import AuditEvents
from auth_service.repositories.users.users import change_credentials, is_user

_A = USERS.alias("admins")
_LOCKED = select(_A.c.id).where(_A.c.role == Role.ADMIN, _A.c.is_active).order_by(_A.c.id).with_for_update()
_ADMINS = _LOCKED.subquery("locked")
_OTHERS = select(func.count().filter(_ADMINS.c.id != USERS.c.id)).select_from(_ADMINS).correlate(USERS)

# For the WHERE of whatever takes an administrator away. Only if the row is one, all of them are locked, in one order
# everywhere, before they are counted: of two that remove each other, the second waits and finds itself the last.
NOT_THE_LAST_ADMIN = or_(USERS.c.role != Role.ADMIN, USERS.c.is_active.is_(False), _OTHERS.scalar_subquery() > 0)


class UserAdministration:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._audit = audit

    async def set_email(self, user_id: UUID, email: str, canonical: str, *, is_verified: bool) -> bool:
        """Assign another address to a user; False if it is their own already, or the user is gone.

        Raises `AccountExists`, which only the unique index decides.
        """
        statement = (
            update(USERS)
            .values(email=email, email_canonical=canonical, is_verified=is_verified, updated_at=self._now())
            .values(email_assigned=true())
            .where(USERS.c.id == user_id, USERS.c.email_canonical != canonical)
            .returning(USERS.c.id)
        )
        return bool(await self._audit.execute(statement, SecurityEvent.EMAIL_CHANGED, user="id"))

    async def set_role(self, user_id: UUID, role: Role) -> bool:
        """Change a user's role, and raise the credential epoch: a login under way has read the old role.

        False if that changes nothing, the user is unknown, or it takes the last administrator.
        """
        statement = (
            change_credentials(self._now(), role=role)
            .where(USERS.c.id == user_id, USERS.c.role != role)
            .returning(USERS.c.id)
        )
        if role != Role.ADMIN:
            statement = statement.where(NOT_THE_LAST_ADMIN)
        return bool(await self._audit.execute(statement, SecurityEvent.ACCOUNT_ROLE_CHANGED, user="id", role=role))

    async def lock_for_removal(self, user_id: UUID, credential_epoch: int | None = None) -> bool:
        """Prevent sign-ins to an account until the transaction ends; the first step of its removal.

        False if it is gone, if its credentials are not those of this epoch any more, or if no
        administrator would be left.
        """
        statement = select(USERS.c.id).where(USERS.c.id == user_id, NOT_THE_LAST_ADMIN).with_for_update(of=USERS)
        if credential_epoch is not None:
            statement = statement.where(USERS.c.credential_epoch == credential_epoch, USERS.c.is_active)
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def remove(self, user_id: UUID) -> None:
        """Delete an account that is locked for it, and by cascade all that hangs on it. The trail stays."""
        statement = delete(USERS).where(USERS.c.id == user_id).returning(USERS.c.id)
        await self._audit.execute(statement, SecurityEvent.ACCOUNT_DELETED, user="id")

    async def set_active(self, whose: UUID | str, *, active: bool) -> UUID | None:
        """Enable or disable the account of an id or a canonical address, and raise its credential epoch.

        None if that changes nothing, the user is unknown, or it takes the last administrator.
        """
        statement = (
            change_credentials(self._now(), is_active=active)
            .where(is_user(whose), USERS.c.is_active.is_not(active))
            .returning(USERS.c.id)
        )
        if not active:
            statement = statement.where(NOT_THE_LAST_ADMIN)
        event = SecurityEvent.ACCOUNT_ENABLED if active else SecurityEvent.ACCOUNT_DISABLED
        rows = await self._audit.execute(statement, event, user="id")
        return rows[0]["id"] if rows else None

    async def end_sessions_after(self, user_id: UUID, limit: int) -> list[UUID]:
        """Raise the credential epoch of the next accounts in the order of their ids, which end their sessions by that.

        Return the ids, in order.
        """
        following = select(USERS.c.id).where(USERS.c.id > user_id).order_by(USERS.c.id).limit(limit).with_for_update()
        ids = list((await self._connection.session.exec(following)).all())
        if ids:
            raised = change_credentials(self._now()).where(USERS.c.id > user_id, USERS.c.id <= ids[-1])
            await self._connection.execute(raised)
            await self._audit.add(SecurityEvent.ALL_SESSIONS_ENDED, accounts=len(ids), last_id=str(ids[-1]))
        return ids
