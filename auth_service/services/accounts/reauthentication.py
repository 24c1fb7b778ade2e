"""Proof of who chose the password: of a bearer before what cannot be undone, and of whoever uses a link in a mail."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from auth_service.errors import InvalidAccessToken, InvalidCredentials, InvalidInput, PasswordRequired, Reason
from auth_service.models import UNUSABLE, SecurityEvent, User
from auth_service.repositories.database import Database
from auth_service.security.passwords.hashing import Passwords
from auth_service.services.operations.audit import Audit
from auth_service.services.passwords.hashing_lane import HashingLane
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.rate_limits import RateLimits
from auth_service.services.throttling.throttle import Throttler


class Reauthentication:
    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        lane: HashingLane,
        throttle: Throttler,
        rate_limits: RateLimits,
        audit: Audit,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._lane = lane
        self._throttle = throttle
        self._rate_limits = rate_limits
        self._audit = audit

    async def owner(self, bearer: Bearer, *, will_prove: bool = True) -> User:
        """Return the account of a bearer who will have to prove the password, or not; its epoch guards the change.

        Raises:
            InvalidAccessToken: the bearer's session has ended in the meantime.
            HashingOverloaded: there is no room in the lane; nothing was looked up.
        """
        if will_prove:
            self._lane.ensure_room()
        async with self._database.statement() as tx:
            user = await tx.users.find_by_session(bearer.user_id, bearer.session_id)
        if user is None:
            raise InvalidAccessToken
        return user

    def given(
        self, bearer: Bearer, user: User, password: str | None, refused: SecurityEvent
    ) -> AbstractAsyncContextManager[Attempt]:
        """Enter the block with an attempt, which succeeds in the transaction of the change, if the password is right.
        For an account without a password, that the bearer signed in recently is enough.

        A wrong one is noted as the event `refused`. `InvalidCredentials` out of the block counts as a wrong one too;
        it counts against the bearer's session first.

        Raises:
            InvalidInput: none was given, and the account has one.
            InvalidCredentials: it is wrong.
            TooManyAttempts: it was wrong too often, or too much was changed with the right one.
            HashingOverloaded: the lane is full.
        """
        self.ensure_given(user, password)
        if password is None:
            return self._without(user)
        return self._given(bearer.session_id, user, password, refused)

    def ensure_given(self, user: User, password: str | None) -> None:
        """Raise `InvalidInput` if no password was given, and the account has one."""
        if password is None and user.hashed_password != UNUSABLE:
            sentence = "Is required: the account has a password."
            raise InvalidInput("current_password", Reason.REQUIRED, sentence)

    @asynccontextmanager
    async def _without(self, user: User) -> AsyncIterator[Attempt]:
        await self._rate_limits.change("password", user.id)
        yield Attempt()

    @asynccontextmanager
    async def _given(
        self, counted_for: UUID, user: User, password: str, refused: SecurityEvent
    ) -> AsyncIterator[Attempt]:
        async with self._throttle.password(user.id, counted_for) as attempt:
            right, _ = await self._lane.run(lambda: self._passwords.verify(password, user.hashed_password))
            if not right:
                await self._audit.record(refused, user.id)
                raise InvalidCredentials("The password is wrong.")
            yield attempt

    @asynccontextmanager
    async def by_link(self, user: User, bearer: Bearer | None, password: str | None) -> AsyncIterator[Attempt]:
        """Enter the block, as in `given()`, for somebody with the link of a mail to a user: with the password, or else
        as the bearer of a session of that very account.

        A click alone shows who reads the mailbox, and not who made the account: anybody can enter a stranger's address.

        Raises:
            PasswordRequired: neither is there.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            InvalidCredentials, TooManyAttempts, HashingOverloaded: as in `given()`.
        """
        if password is not None:
            # Whoever has the link and no session has a count of their own, which leaves the owner's sessions alone.
            async with self._given(user.id, user, password, SecurityEvent.LINK_REFUSED) as attempt:
                yield attempt
        elif bearer is not None and bearer.user_id == user.id:
            async with self._database.statement() as tx:
                is_alive = await tx.users.view_by_session(bearer.user_id, bearer.session_id) is not None
            if not is_alive:
                raise InvalidAccessToken
            yield Attempt()
        else:
            raise PasswordRequired
