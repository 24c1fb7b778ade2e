"""What a spent token leads to: an answer that is noted if it came from elsewhere, or the end of the session."""

import structlog

from auth_service.errors import DatabaseUnavailable
from auth_service.models import REPLAYS_TOLD, Device, EndReason, MailKind, SecurityEvent, SessionState
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.security.tokens.refresh_tokens import PresentedToken
from auth_service.services.mail.notices import Notices

log = structlog.get_logger()


class Replays:
    def __init__(self, database: Database, notices: Notices) -> None:
        self._database = database
        self._notices = notices

    async def note(self, session: SessionState, device: Device) -> None:
        """Leave an event if a token that is answered came from another network or device than the last rotation.

        It never fails: the client gets its answer, and the log tells what was not written.
        """
        if session.is_told(device):
            return
        try:
            await self._note(session)
        except DatabaseUnavailable:
            log.warning("audit.not_written", what=SecurityEvent.REFRESH_REPLAYED, user_id=str(session.user_id))

    @retried
    async def _note(self, session: SessionState) -> None:
        async with self._database.transaction() as tx:
            await tx.refresh_tokens.note_replay(session, REPLAYS_TOLD)

    @retried
    async def end(self, session: SessionState, presented: PresentedToken) -> bool:
        """End a session that two parties hold, and tell its owner; False if it has ended in the meantime.

        The event and the mail name both parties, whoever rotated last and whoever asks now: nobody knows which of them
        is the owner.
        """
        behind, by = session.generation - presented.generation, session.rotated_by
        async with self._database.transaction() as tx:
            await tx.users.hold(session.user_id)  # the notice will refer to it: users before sessions, as everywhere
            if not await tx.refresh_tokens.revoke(presented.secret_hash, EndReason.REUSE, behind=behind, **by):
                return False
            await self._notices.notify(tx, MailKind.REUSE_DETECTED, session.user_id, session.rotated_from)
        return True
