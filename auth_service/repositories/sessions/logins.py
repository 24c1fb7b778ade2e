"""What a sign-in writes: the session, and then in one statement all that goes with it."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache, partial
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from uuid_utils.compat import uuid7

from auth_service.database.connection import Connection
from auth_service.database.dialects import Clock
from auth_service.database.prepared import Prepared, Rows
from auth_service.models import (
    NUMBERS,
    OUTGOING_MAILS,
    REFRESH_TOKENS,
    USERS,
    Authentication,
    EndReason,
    LoginAccount,
    MailKind,
    SecurityEvent,
    SessionState,
    kind_of_device,
    neighbourhood_of,
)
from auth_service.repositories.audit.events import AuditedChange, AuditEvents
from auth_service.repositories.factors.proofs import (
    PasskeyProof,
    Proof,
    RecoveryProof,
    Spending,
    TotpProof,
    one_by_one,
    spend_recovery_code,
    spend_signature,
    spend_step,
    used_up,
)
from auth_service.repositories.mail.outbox import Outbox
from auth_service.repositories.sessions.refresh_tokens import RETURNED, alive
from auth_service.repositories.throttles.throttles import Success

M, T = OUTGOING_MAILS.c, REFRESH_TOKENS.c
MOST_KEPT = 200  # sessions of a user, unless more are alive
EXPIRED_AT_ONCE = 500
FORGOTTEN_AFTER = timedelta(minutes=15)  # as the triggers of migration 0001 have it
_GIVEN = ("id", "user_id", "credential_epoch", "secret_hash", "user_agent", "ip", "acr", "amr")


def _open(clock: Clock, spend: Spending | None = None) -> Any:
    times = {"created_at": clock.at(), "last_used_at": clock.at(), "expires_at": clock.after("lifetime")}
    proved_at = bindparam("session_authenticated_at", type_=T.authenticated_at.type)
    times |= {"authenticated_at": func.coalesce(proved_at, clock.at())}
    fresh = {"generation": literal(0, T.generation.type), "rotations": literal([], T.rotations.type)}
    given = {name: bindparam(f"session_{name}", type_=T[name].type) for name in _GIVEN}
    values = {**given, **fresh, **times}
    still_so = (
        select(*values.values())
        .select_from(USERS)
        .where(USERS.c.id == given["user_id"], USERS.c.credential_epoch == given["credential_epoch"], USERS.c.is_active)
        .with_for_update(read=True)
    )
    if spend and clock.dialect.writes_in_ctes:
        still_so = still_so.where(used_up(clock, spend))
    return insert(REFRESH_TOKENS).from_select(list(values), still_so).returning(*RETURNED)


_OPENED_BY_LOGIN = AuditedChange(_open, SecurityEvent.LOGIN_SUCCEEDED, user="user_id", session="id")
_OPENED_BY_PROOF = {
    TotpProof: AuditedChange(
        partial(_open, spend=spend_step), SecurityEvent.LOGIN_SUCCEEDED, user="user_id", session="id"
    ),
    PasskeyProof: AuditedChange(
        partial(_open, spend=spend_signature), SecurityEvent.LOGIN_SUCCEEDED, user="user_id", session="id"
    ),
    RecoveryProof: AuditedChange(
        partial(_open, spend=spend_recovery_code), SecurityEvent.LOGIN_SUCCEEDED, user="user_id", session="id"
    ),
}
_ONE_BY_ONE = {
    TotpProof: one_by_one(spend_step),
    PasskeyProof: one_by_one(spend_signature),
    RecoveryProof: one_by_one(spend_recovery_code),
}
_OPENED_INSTEAD = AuditedChange(_open, SecurityEvent.SESSION_OPENED, user="user_id", session="id")

# Not `user_id`, which is a column: SQLAlchemy would set it in each UPDATE of a table that has it.
_WHO = bindparam("owner", type_=Uuid())


def _record_login(clock: Clock) -> Any:
    """Never waits: the row is held by another login, which notes the same, or by a change that matters more."""
    unlocked = select(USERS.c.id).where(USERS.c.id == _WHO).with_for_update(skip_locked=True, key_share=True)
    return update(USERS).values(last_login_at=clock.at()).where(USERS.c.id.in_(unlocked))


def _notify(clock: Clock) -> Any:
    """A mail to the owner, unless this is their first session, or an earlier one came from such a device and place too.

    Of several that are opened at once one is the first; if each looked at all others, none would be reported.
    Numbers in a user agent do not count, since browsers raise them all the time.
    """
    this = REFRESH_TOKENS.alias("this").c
    opened = select(this.created_at).where(this.id == bindparam("session_id", type_=Uuid())).scalar_subquery()
    others = select(T.id).where(T.user_id == _WHO, T.created_at < opened)
    kind = bindparam("kind_of_device", type_=String())
    alike = func.regexp_replace(T.user_agent, NUMBERS, "", "g").is_not_distinct_from(kind)
    values = {
        "id": bindparam("mail_id", type_=M.id.type), "kind": literal(MailKind.NEW_DEVICE, M.kind.type),
        "user_id": _WHO, "details": bindparam("mail_details", type_=M.details.type),
        "attempts": literal(0), "created_at": clock.at(), "due_at": clock.at(),
    }  # fmt: skip
    is_new = and_(others.exists(), ~others.where(alike, _is_near(clock)).exists())
    return insert(OUTGOING_MAILS).from_select(list(values), select(*values.values()).where(is_new)).returning(M.id)


def _is_near(clock: Clock) -> ColumnElement[bool]:
    network = bindparam("network", type_=String())
    return or_(network.is_(None), clock.dialect.is_in_network(T.ip, network))


def _count(clock: Clock) -> Any:
    unended = select(func.count().label("alive")).where(T.user_id == _WHO, T.revoked_at.is_(None))
    return unended.where(T.expires_at > clock.at(), T.last_used_at > clock.after("minus_idle"))


def _expire_ended(clock: Clock) -> Any:
    """Let the clean-up have what has ended, but for the newest of each user; some at a time.

    Those alive come first: when they end, there is room for them. What ended longer ago than any access token lives
    expires so long ago that its deletion is no news: the trigger of migration 0001 leaves nothing of it in the feed.
    """
    kept = select(T.id, T.revoked_at).where(T.user_id == _WHO, T.expires_at > clock.at())
    newest_first = kept.order_by(T.revoked_at.is_(None).desc(), T.revoked_at.desc(), T.id.desc())
    beyond = newest_first.offset(MOST_KEPT).limit(EXPIRED_AT_ONCE).subquery("beyond")
    ended = select(beyond.c.id).where(beyond.c.revoked_at.is_not(None))
    unlocked = select(T.id).where(T.id.in_(ended)).with_for_update(skip_locked=True)
    long_ago = clock.at(-FORGOTTEN_AFTER)
    expires_at = case((T.revoked_at > long_ago, T.revoked_at), else_=long_ago)
    return update(REFRESH_TOKENS).values(expires_at=expires_at).where(T.id.in_(unlocked))


_RECORD_LOGIN, _NOTIFY, _COUNT = Prepared(_record_login), Prepared(_notify), Prepared(_count)
_EXPIRE_ENDED = Prepared(_expire_ended)


@cache
def _all_of(success: Prepared | None, *, with_notice: bool) -> Prepared:
    """All parts as one statement, which SQLite cannot do."""

    def build(clock: Clock) -> Any:
        statement = _count(clock).add_cte(_record_login(clock).cte("recorded"), _expire_ended(clock).cte("expired"))
        if success:
            statement = statement.add_cte(success.build(clock).cte("succeeded"))
        if with_notice:
            statement = statement.add_columns(select(_notify(clock).cte("mailed").c.id).exists().label("mailed"))
        return statement

    return Prepared(build)


class Logins:
    def __init__(self, connection: Connection, audit: AuditEvents, outbox: Outbox) -> None:
        self._connection = connection
        self._audit = audit
        self._outbox = outbox

    async def open(
        self,
        account: LoginAccount,
        secret_hash: bytes,
        lifetime: timedelta,
        device: tuple[str | None, str | None],
        *,
        authentication: Authentication,
        instead: EndReason | None = None,
        proof: Proof | None = None,
    ) -> SessionState | None:
        """Insert a session for an account whose credentials are still those that were verified; None if they are not.

        The `device` is a user agent and an address. Without a login, the session comes `instead` of those that ended
        for this reason. The second step of a login uses a `proof` up; None if it was used up before, and then the
        transaction must not be committed.

        The row of the user is locked FOR SHARE: a password change either comes first, and nothing is inserted, or waits
        and then ends this session with the others.
        """
        proved = authentication
        given = (uuid7(), account.id, account.credential_epoch, secret_hash, *device, proved.acr, proved.amr)
        values: dict[str, Any] = {"session_authenticated_at": proved.time, "lifetime": lifetime}
        values |= {f"session_{name}": value for name, value in zip(_GIVEN, given, strict=True)}
        if proof is not None:
            rows = await self._open_by_proof(proof, values | proof.values)
        elif instead is None:
            rows = await self._audit.execute_prepared(_OPENED_BY_LOGIN, values)
        else:
            rows = await self._audit.execute_prepared(_OPENED_INSTEAD, values, reason=instead)
        return alive(rows[0], account.role) if rows else None

    async def _open_by_proof(self, proof: Proof, values: dict[str, Any]) -> Rows:
        kind, dialect = type(proof), self._connection.dialect
        if not dialect.writes_in_ctes and not await _ONE_BY_ONE[kind].execute(self._connection, values):
            return ()
        return await self._audit.execute_prepared(_OPENED_BY_PROOF[kind], values)

    async def settle(
        self,
        user_id: UUID,
        session_id: UUID,
        idle: timedelta,
        success: Success | None,
        *,
        device: tuple[str | None, str | None],
        notice: Mapping[str, str] | None,
    ) -> int:
        """Note the login and that its attempt was right, let go of what ended long ago, and if there is a `notice` mail
        it to the owner of a new device, which is a user agent and an address; return how many live sessions there are.
        """
        user_agent, ip = device
        values: dict[str, Any] = {
            "owner": user_id,
            "minus_idle": -idle,
            **(success.values if success else {}),
        }
        if notice is not None:
            kind = kind_of_device(user_agent) if user_agent else None
            values |= {"session_id": session_id, "kind_of_device": kind, "network": neighbourhood_of(ip)}
            values |= {"mail_id": uuid7(), "mail_details": dict(notice)}
        if self._connection.dialect.writes_in_ctes:
            whole = _all_of(success.statement if success else None, with_notice=notice is not None)
            (row,) = await whole.execute(self._connection, **values)
        else:
            row = await self._one_by_one(success, values, with_notice=notice is not None)
        self._outbox.was_written |= bool(row.get("mailed"))
        return int(row["alive"])

    async def _one_by_one(
        self, success: Success | None, values: dict[str, Any], *, with_notice: bool
    ) -> Mapping[Any, Any]:
        await _RECORD_LOGIN.execute(self._connection, **values)
        if success:
            await success.statement.execute(self._connection, **values)
        mailed = await _NOTIFY.execute(self._connection, **values) if with_notice else ()
        await _EXPIRE_ENDED.execute(self._connection, **values)
        (row,) = await _COUNT.execute(self._connection, **values)
        return {**row, "mailed": mailed}
