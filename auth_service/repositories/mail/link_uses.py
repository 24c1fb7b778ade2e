"""Links, used: each is let through once, by the statement that judges it."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, delete, not_, or_, update
from sqlmodel import select

from auth_service.database.connection import Connection
from auth_service.database.expiry import count_expired, delete_expired
from auth_service.errors import InvalidLink, LinkFault
from auth_service.models import (
    LINK_TOKENS,
    LINKS,
    OUTGOING_MAILS,
    STOPS,
    USERS,
    LinkPurpose,
    LinkToken,
    SecurityEvent,
    User,
)
from auth_service.repositories.audit.events import AuditEvents

L, U = LINK_TOKENS.c, USERS.c
BY_MAILBOX = (LinkPurpose.VERIFY_EMAIL, LinkPurpose.RESET_PASSWORD)
EMAIL_CHANGE = (LinkPurpose.APPROVE_EMAIL_CHANGE, LinkPurpose.CONFIRM_EMAIL_CHANGE)


class FoundLink(NamedTuple):
    """A link that could be used at the moment when it was looked up."""

    user: User
    purpose: LinkPurpose
    new_email: str | None


class LinkUses:
    def __init__(self, connection: Connection, audit: AuditEvents) -> None:
        self._connection = connection
        self._now = connection.dialect.now
        self._audit = audit

    async def find(self, token_hash: bytes, *purposes: LinkPurpose) -> FoundLink:
        """Return the link and its user, to be used for one of these purposes; nothing is consumed.

        Raises `InvalidLink` if it could not be used now, and says why.
        """
        fault = case(
            (L.used_at.is_not(None), LinkFault.USED),
            (L.expires_at <= self._now(), LinkFault.EXPIRED),
            (not_(and_(U.is_active, *self._bound(U))), LinkFault.OUTDATED),
            else_="",
        )
        statement = (
            select(User, LinkToken, fault)
            .join(LinkToken, L.user_id == U.id)
            .where(L.token_hash == token_hash, L.purpose.in_(purposes))
        )
        found = (await self._connection.session.exec(statement)).one_or_none()
        if found is None or found[2]:
            raise InvalidLink(LinkFault(found[2]) if found else LinkFault.UNKNOWN)
        return FoundLink(found[0], LinkPurpose(found[1].purpose), found[1].new_email)

    async def use(self, token_hash: bytes, purpose: LinkPurpose) -> None:
        """Use a link up; raises `InvalidLink` if it cannot be used.

        The user's row is locked before the link's, in the one lock order; after that wait it knows what became of the
        address, the credentials and the link meanwhile.
        """
        chosen = select(L.user_id).where(L.token_hash == token_hash)
        owner = (
            select(U.id, U.email_canonical, U.credential_epoch, U.is_verified)
            .where(U.id.in_(chosen), U.is_active)
            .with_for_update()
            .subquery("owner")
        )
        statement = (
            update(LINK_TOKENS)
            .values(used_at=self._now())
            .where(*self._usable(token_hash), L.purpose == purpose, L.user_id == owner.c.id, *self._bound(owner.c))
            .returning(L.user_id)
        )
        rows = await self._audit.execute(statement, SecurityEvent.LINK_USED, user="user_id", purpose=purpose)
        if not rows:
            await self.find(token_hash, purpose)
            raise InvalidLink

    async def verify_email(self, user_id: UUID) -> bool:
        """Note that a user has the mailbox of their address; False if that changes nothing, or the user is gone."""
        statement = (
            update(USERS)
            .values(is_verified=True, updated_at=self._now())
            .where(U.id == user_id, U.is_verified.is_(False))
            .returning(U.id)
        )
        return bool(await self._audit.execute(statement, SecurityEvent.EMAIL_VERIFIED, user="id"))

    async def change_email(self, user_id: UUID, new_email: str, new_canonical: str) -> bool:
        """Give a user the address that their used links name; False while one of the links is not used.

        An address that was never verified has no owner who could approve: then the new mailbox alone decides. Raises
        `AccountExists`, which only the unique index decides.
        """
        approve, confirm = (self._agreed(purpose, new_email) for purpose in EMAIL_CHANGE)
        statement = (
            update(USERS)
            .values(
                email=new_email,
                email_canonical=new_canonical,
                is_verified=True,
                updated_at=self._now(),
            )
            .where(U.id == user_id, confirm, or_(U.is_verified.is_(False), approve))
            .returning(U.id)
        )
        return bool(await self._audit.execute(statement, SecurityEvent.EMAIL_CHANGED, user="id"))

    async def hold(self, user: User) -> bool:
        """Lock a user's row until the transaction ends; False if their address, credentials or state changed."""
        unchanged = (
            U.is_active,
            U.email_canonical == user.email_canonical,
            U.credential_epoch == user.credential_epoch,
        )
        held = select(U.id).where(U.id == user.id, *unchanged).with_for_update()
        return (await self._connection.execute(held)).one_or_none() is not None

    async def withdraw(self, user: User, *purposes: LinkPurpose) -> None:
        """Take back a user's links of these purposes, and the mails of such links that were not sent yet.

        But for what tells of a pending change: that would take effect, and nobody had been told.
        """
        mails, chosen = OUTGOING_MAILS.c, {*purposes} - {*STOPS}
        kinds = [kind for kind, (purpose, _) in LINKS.items() if purpose in chosen]
        theirs = or_(mails.user_id == user.id, and_(mails.user_id.is_(None), mails.recipient == user.email_canonical))
        await self._connection.execute(delete(OUTGOING_MAILS).where(theirs, mails.kind.in_(kinds)))
        await self._connection.execute(delete(LINK_TOKENS).where(L.user_id == user.id, L.purpose.in_(purposes)))

    async def delete_expired(self, limit: int) -> int:
        """Delete up to `limit` links whose time is over, skipping those that are locked; return how many."""
        return await delete_expired(self._connection, LINK_TOKENS, limit)

    async def count_expired(self) -> int:
        """Return how many a clean-up would find."""
        return await count_expired(self._connection, LINK_TOKENS)

    def _usable(self, token_hash: bytes) -> tuple[ColumnElement[bool], ...]:
        return L.token_hash == token_hash, L.used_at.is_(None), L.expires_at > self._now()

    def _bound(self, owner: Any) -> tuple[ColumnElement[bool], ...]:
        """A link is good for the address and the credentials that its user had when it was made.

        While the address is not verified, those may be of a stranger, who must not be able to change them to keep out
        whoever has the mailbox. A link that verifies is dead once something else has: it can also set a password.
        """
        by_mailbox = and_(L.purpose.in_(BY_MAILBOX), owner.is_verified.is_(False))
        same = and_(L.purpose != LinkPurpose.VERIFY_EMAIL, L.credential_epoch == owner.credential_epoch)
        return L.email_canonical == owner.email_canonical, or_(by_mailbox, same)

    def _agreed(self, purpose: LinkPurpose, new_email: str) -> ColumnElement[bool]:
        """Whether the user's link of a purpose was used for this new address, and still counts."""
        used = select(L.user_id).where(L.user_id == U.id, L.purpose == purpose, L.used_at.is_not(None))
        return used.where(L.new_email == new_email, L.expires_at > self._now(), *self._bound(U)).exists()
