"""What owners do with their sessions: look at them, and end them."""

from uuid import UUID

from auth_service.errors import Denial, InvalidAccessToken, NoSuchSession
from auth_service.models import EndReason, Page, SessionRules, SessionView, Slice
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.revocations import Revocations


class OwnSessions:
    def __init__(self, database: Database, revocations: Revocations, rules: SessionRules) -> None:
        self._database = database
        self._revocations = revocations
        self._rules = rules

    async def list_page(self, bearer: Bearer, wanted: Slice, *, ended_too: bool) -> Page[SessionView]:
        """Return a page of the bearer's live sessions, the newest first; on request also of the ended ones that are
        still kept.
        """
        async with self._database.statement() as tx:
            return await tx.user_sessions.list_of_user(
                bearer.user_id, self._rules.idle_lifetime, wanted, current=bearer.session_id, ended_too=ended_too
            )

    @retried
    async def end_one(self, bearer: Bearer, session_id: UUID) -> None:
        """End one session of the bearer; the same answer if it had ended before.

        Raises:
            NoSuchSession: unknown, or another user's.
            InvalidAccessToken: the bearer's session, which is another one, has ended in the meantime.
        """
        asking = bearer.session_id if bearer.session_id != session_id else None
        async with self._database.statement() as tx:
            sessions = tx.user_sessions
            ended = await sessions.revoke_of_user(bearer.user_id, EndReason.LOGOUT, only=session_id, asking=asking)
            if not ended and asking:
                await _ensure_alive(tx, bearer)
            known = ended or await sessions.belongs_to(session_id, bearer.user_id)
        if not known:
            raise NoSuchSession
        self._revocations.add(ended)

    @retried
    async def end_all(self, bearer: Bearer, *, current_too: bool) -> None:
        """End the bearer's other sessions, or all of them.

        Raises `InvalidAccessToken`: the bearer's own session has ended in the meantime.
        """
        keep, asking = None if current_too else bearer.session_id, bearer.session_id
        async with self._database.statement() as tx:
            ended = await tx.user_sessions.revoke_of_user(bearer.user_id, EndReason.LOGOUT, keep=keep, asking=asking)
            if not ended:
                await _ensure_alive(tx, bearer)
        self._revocations.add(ended)


async def _ensure_alive(tx: Transaction, bearer: Bearer) -> None:
    if await tx.users.view_by_session(bearer.user_id, bearer.session_id) is None:
        raise InvalidAccessToken(Denial.ENDED, bearer.user_id)
