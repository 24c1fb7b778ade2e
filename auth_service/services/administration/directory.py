"""The directory of users, as administrators read it: pages, searches, counts, and one user with their sessions."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from auth_service.errors import DatabaseUnavailable, InvalidInput, NoSuchUser
from auth_service.identifiers import canonical_email, canonical_username
from auth_service.models import (
    ChangeKind,
    FactorView,
    Page,
    PendingChange,
    Position,
    RefreshToken,
    SessionRules,
    Slice,
    User,
)
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.users.search import Count, UserFilter

COUNTS_AT_ONCE = 2  # connections of this process, however many administrators look
COUNTS_PATIENCE = 3.0  # seconds: one statement takes less


class UserPage(NamedTuple):
    """`total` is there for a page with a number; who goes on from a position has no need of it."""

    users: Sequence[User]
    is_last: bool
    total: Count | None


class ShownUser(NamedTuple):
    """A user with a page of their sessions, the changes that wait for their time, and their second factors."""

    user: User
    sessions: Page[RefreshToken]
    pending: Mapping[ChangeKind, PendingChange]
    factors: Sequence[FactorView]


class Directory:
    def __init__(self, database: Database, rules: SessionRules) -> None:
        self._database = database
        self._rules = rules
        self._counting = asyncio.Semaphore(COUNTS_AT_ONCE)

    @retried
    async def page(self, wanted: UserFilter, number: int, size: int) -> UserPage:
        """The page of this number, from 1, of the users that match, the newest first.

        Raises:
            InvalidInput: no account can have the name that is looked for.
        """
        wanted, skipped = _canonical(wanted), (number - 1) * size
        async with self._database.reading() as tx:
            found = await tx.user_search.find_page(wanted, size + 1, offset=skipped)
            known = _known_total(skipped, len(found), size)
            total = known or await tx.user_search.count(wanted)
        if found and not known:
            total = total._replace(number=max(total.number, skipped + len(found)))  # as many have been seen
        return UserPage(found[:size], len(found) <= size, total)

    @retried
    async def go_on(self, wanted: UserFilter, behind: Position, size: int) -> UserPage:
        """The users that match from a position on, at the same cost wherever that is; raises as `page`."""
        async with self._database.reading() as tx:
            found = await tx.user_search.find_page(_canonical(wanted), size + 1, before=behind)
        return UserPage(found[:size], len(found) <= size, None)

    async def counts(self) -> dict[str, Count]:
        """How many there are of each kind; a sign-in within a session's longest life counts as seen recently."""
        kinds = {
            "active": UserFilter(is_active=True),
            "disabled": UserFilter(is_active=False),
            "unverified": UserFilter(is_verified=False),
            "recently_seen": UserFilter(seen_within=self._rules.absolute_lifetime),
            "total": UserFilter(),
        }
        # One session, one connection, cannot run queries in parallel: each count has a connection of its own. Only so
        # many at once: the pool is there for users who sign in.
        found = await asyncio.gather(*(self._count(wanted) for wanted in kinds.values()))
        return dict(zip(kinds, found, strict=True))

    async def show(self, user_id: UUID, wanted: Slice, *, ended_too: bool) -> ShownUser:
        """One user with a page of their live sessions, on request also of the ended ones that are still kept, the
        newest first. Raises `NoSuchUser`.

        From the primary: an administrator who has just changed something looks at the result.
        """
        async with self._database.statement() as tx:
            user = await tx.user_search.find_with_sessions(
                user_id, self._rules.idle_lifetime, wanted, ended_too=ended_too
            )
            pending = await tx.pending_changes.find_of_user(user_id)
            factors = await tx.factors.list_of_user(user_id)
        if user is None:
            raise NoSuchUser
        return ShownUser(user, Page.of(user.sessions, wanted), pending, factors)

    @retried
    async def _count(self, wanted: UserFilter) -> Count:
        try:
            async with asyncio.timeout(COUNTS_PATIENCE), self._counting, self._database.reading() as tx:
                return await tx.user_search.count(wanted)
        except TimeoutError as error:
            raise DatabaseUnavailable from error


def _known_total(skipped: int, found: int, size: int) -> Count | None:
    """The last page has counted them all: there was none behind it."""
    return Count(skipped + found) if found <= size and (found or not skipped) else None


def _canonical(wanted: UserFilter) -> UserFilter:
    """The same with its names in canonical form."""
    return wanted._replace(name=_canonical_name(wanted.name))


def _canonical_name(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return canonical_email(name) if "@" in name else canonical_username(name)
    except InvalidInput as error:
        raise InvalidInput("name", *error.faults[0][1:]) from None
