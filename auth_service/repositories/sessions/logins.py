"""What a sign-in writes: the session, and all that goes with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from auth_service.database.connection import Connection
from auth_service.database.prepared import Prepared
from auth_service.models import (
    Authentication,
    Device,
    EndReason,
    LoginAccount,
    SessionRules,
    SessionState,
    kind_of_device,
    neighbourhood_of,
)
from auth_service.repositories.audit.events import AuditEvents
from auth_service.repositories.factors.proofs import Proof
from auth_service.repositories.factors.spending import Spending
from auth_service.repositories.mail.outbox import Outbox
from auth_service.repositories.sessions.login_statements import (
    COUNT,
    EXPIRE_ENDED,
    GIVEN,
    MOST_KEPT,
    NOTE,
    NOTIFY,
    ONE_BY_ONE,
    OPENED_INSTEAD,
    SPENDING,
    opened,
    opened_and_settled,
)
from auth_service.repositories.sessions.refresh_tokens import alive
from auth_service.repositories.throttles.throttles import Success


class Counts(NamedTuple):
    """How many sessions of an account are alive, and how many are kept, with those that have ended."""

    alive: int
    kept: int

    @property
    def is_long(self) -> bool:
        """Whether some of those that have ended are to go."""
        return self.kept > MOST_KEPT


@dataclass(frozen=True)
class Settling:
    """What goes with the session of a login: its attempt was right, and an owner of a new device gets a `notice`."""

    success: Success | None
    notice: Mapping[str, str] | None

    @property
    def shape(self) -> tuple[Prepared | None, bool]:
        """What of it is a part of the statement, and whether there is a notice."""
        return self.success.statement if self.success else None, self.notice is not None

    def values(self, device: Device) -> dict[str, Any]:
        """The parameters of the statements, beside those of the session, which this device opens."""
        values = dict(self.success.values) if self.success else {}
        if self.notice is not None:
            kind = kind_of_device(device.user_agent) if device.user_agent else None
            values |= {"kind_of_device": kind, "network": neighbourhood_of(device.ip)}
            values |= {"mail_id": uuid7(), "mail_details": dict(self.notice)}
        return values


class Logins:
    def __init__(self, connection: Connection, audit: AuditEvents, outbox: Outbox) -> None:
        self._connection = connection
        self._audit = audit
        self._outbox = outbox

    async def open(
        self,
        account: LoginAccount,
        secret_hash: bytes,
        rules: SessionRules,
        device: Device,
        *,
        authentication: Authentication,
        instead: EndReason | None = None,
        proof: Proof | None = None,
        settling: Settling | None = None,
    ) -> tuple[SessionState, Counts | None] | None:
        """Insert a session for an account whose credentials are still those that were verified; None if they are not.

        Without a login, the session comes `instead` of those that ended for this reason. The second step of a login
        uses a `proof` up; None if it was used up before, and then the transaction must not be committed.

        Also return how many sessions there are; None if that is not known, as without `settling`, or if others were
        opened at the same moment: then `settle_later()` is left to do.

        The row of the user is locked FOR SHARE: a password change either comes first, and nothing is inserted, or waits
        and then ends this session with the others.
        """
        proved = authentication
        given = (uuid7(), account.id, account.credential_epoch, secret_hash, *device, proved.acr, proved.amr)
        values: dict[str, Any] = {"session_authenticated_at": proved.time, "lifetime": rules.absolute_lifetime}
        values |= {f"session_{name}": value for name, value in zip(GIVEN, given, strict=True)}
        if instead is not None:
            rows = await self._audit.execute_prepared(OPENED_INSTEAD, values, reason=instead)
            return (alive(rows[0], account.role), None) if rows else None
        values |= {"minus_idle": -rules.idle_lifetime, **(proof.values if proof else {})}
        values |= settling.values(device) if settling else {}
        row = await self._open_by_login(SPENDING[type(proof)] if proof else None, settling, values)
        if row is None:
            return None
        self._outbox.was_written |= bool(row.get("mailed"))
        known = row.get("alive") is not None
        return alive(row, account.role), Counts(row["alive"], row["kept"]) if known else None

    async def _open_by_login(
        self, spend: Spending | None, settling: Settling | None, values: dict[str, Any]
    ) -> Mapping[Any, Any] | None:
        if self._connection.dialect.writes_in_ctes:
            whole = opened_and_settled(spend, *settling.shape) if settling else opened(spend)
            rows = await self._audit.execute_prepared(whole, values)
            return rows[0] if rows else None
        if spend and not await ONE_BY_ONE[spend].execute(self._connection, values):
            return None
        rows = await self._audit.execute_prepared(opened(spend), values)
        return {**rows[0], **(await self._settle(settling, values) if settling else {})} if rows else None

    async def _settle(self, settling: Settling, values: dict[str, Any]) -> Mapping[Any, Any]:
        await NOTE.execute(self._connection, **values)
        if settling.success:
            await settling.success.statement.execute(self._connection, **values)
        mailed = await NOTIFY.execute(self._connection, **values) if settling.notice is not None else ()
        (row,) = await COUNT.execute(self._connection, **values)
        return {**row, "mailed": mailed}

    async def settle_later(
        self, user_id: UUID, session_id: UUID, device: Device, notice: Mapping[str, str] | None
    ) -> None:
        """Note the login that has opened this session, and if there is a `notice` mail it to the owner of a new device,
        once all is committed that the statement of the login has not seen.
        """
        given = Settling(None, notice).values(device) | {"session_user_id": user_id, "session_id": session_id}
        await NOTE.execute(self._connection, **given)
        if notice is not None:
            self._outbox.was_written |= bool(await NOTIFY.execute(self._connection, **given))

    async def expire_ended(self, user_id: UUID) -> None:
        """Let the clean-up have what has ended of this user's sessions, but for the newest."""
        await EXPIRE_ENDED.execute(self._connection, session_user_id=user_id)
