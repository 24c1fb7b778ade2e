"""The statements of a sign-in: the session, and all that goes with it, which PostgreSQL does as one statement."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
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
    true,
    update,
)

from auth_service.database.dialects import Clock
from auth_service.database.prepared import Prepared
from auth_service.models import NUMBERS, OUTGOING_MAILS, REFRESH_TOKENS, UNUSABLE, USERS, MailKind, SecurityEvent
from auth_service.repositories.audit.events import TRAIL_ID, AuditedChange, with_trail
from auth_service.repositories.factors.proofs import PasskeyProof, Proof, RecoveryProof, TotpProof
from auth_service.repositories.factors.spending import (
    EPOCH,
    WHO,
    Spending,
    is_fresh,
    one_by_one,
    spend_recovery_code,
    spend_signature,
    spend_step,
    used_up,
)
from auth_service.repositories.sessions.rotation import RETURNED

M, T, U = OUTGOING_MAILS.c, REFRESH_TOKENS.c, USERS.c
MOST_KEPT = 200  # sessions of a user, unless more are alive
EXPIRED_AT_ONCE = 500
FORGOTTEN_AFTER = timedelta(minutes=15)  # as the triggers of migration 0001 have it
GIVEN = ("id", "user_id", "credential_epoch", "secret_hash", "user_agent", "ip", "acr", "amr")


def _account(*conditions: ColumnElement[bool], told: Sequence[ColumnElement[Any]] = ()) -> CTE:
    """The account as it was verified, locked: a change of its credentials either came first, or waits."""
    by_password = bindparam("session_amr", type_=T.amr.type).like("pwd%")
    still_has_it = or_(U.hashed_password != UNUSABLE, ~by_password)  # which its owner may give up, and go on
    unchanged = select(U.id, *told).where(U.id == WHO, U.credential_epoch == EPOCH, U.is_active, still_has_it)
    unchanged = unchanged.where(*conditions)
    return unchanged.with_for_update(read=True).cte("account")


def _open(clock: Clock, spend: Spending | None = None, told: Sequence[ColumnElement[Any]] = ()) -> tuple[CTE, Any]:
    """Return the account, with what else is `told` of it, and the statement that opens a session of it.

    That also uses a proof up, where one statement can.
    """
    spend = spend if clock.dialect.writes_in_ctes else None
    times = {"created_at": clock.at(), "last_used_at": clock.at(), "expires_at": clock.after("lifetime")}
    proved_at = bindparam("session_authenticated_at", type_=T.authenticated_at.type)
    times |= {"authenticated_at": func.coalesce(proved_at, clock.at())}
    fresh = {"generation": literal(0, T.generation.type), "rotations": literal([], T.rotations.type)}
    given = {name: bindparam(f"session_{name}", type_=T[name].type) for name in GIVEN}
    values = {**given, **fresh, **times}
    account = _account(*([is_fresh(clock)] if spend else []), told=told)  # else the code would be used up in vain
    chosen = select(*values.values()).select_from(account)
    if spend:
        chosen = chosen.where(used_up(clock, spend, account))
    return account, insert(REFRESH_TOKENS).from_select(list(values), chosen).returning(*RETURNED)


SPENDING: dict[type[Proof], Spending] = {
    TotpProof: spend_step,
    PasskeyProof: spend_signature,
    RecoveryProof: spend_recovery_code,
}
ONE_BY_ONE = {spend: one_by_one(spend) for spend in SPENDING.values()}
OPENED_INSTEAD = AuditedChange(
    lambda clock: _open(clock)[1], SecurityEvent.SESSION_OPENED, user="user_id", session="id"
)


# Never waits: the row is held by another sign-in, which notes the same, or by a change that matters more.
_UNLOCKED = select(U.id).where(U.id == WHO).with_for_update(skip_locked=True, key_share=True)


def _noted(clock: Clock) -> Any:
    return update(USERS).values(last_login_at=clock.at())


def _notify(clock: Clock, opened_at: ColumnElement[Any]) -> Any:
    """A mail to the owner, unless this is their first session, or an earlier one came from such a device and place too.

    Of several that are opened at once one is the first; if each looked at all others, none would be reported.
    Numbers in a user agent do not count, since browsers raise them all the time.
    """
    others = select(T.id).where(T.user_id == WHO, T.created_at < opened_at)
    kind = bindparam("kind_of_device", type_=String())
    alike = func.regexp_replace(T.user_agent, NUMBERS, "", "g").is_not_distinct_from(kind)
    values = {
        "id": bindparam("mail_id", type_=M.id.type), "kind": literal(MailKind.NEW_DEVICE, M.kind.type),
        "user_id": WHO, "details": bindparam("mail_details", type_=M.details.type),
        "attempts": literal(0), "created_at": clock.at(), "due_at": clock.at(),
    }  # fmt: skip
    is_new = and_(others.exists(), ~others.where(alike, _is_near(clock)).exists())
    return insert(OUTGOING_MAILS).from_select(list(values), select(*values.values()).where(is_new)).returning(M.id)


def _is_near(clock: Clock) -> ColumnElement[bool]:
    network = bindparam("network", type_=String())
    return or_(network.is_(None), clock.dialect.is_in_network(T.ip, network))


def _count(clock: Clock) -> Any:
    """How many sessions of a user are alive, and how many there are with those that ended before they expired."""
    is_alive = and_(T.revoked_at.is_(None), T.last_used_at > clock.after("minus_idle"))
    counts = func.count().filter(is_alive).label("alive"), func.count().label("kept")
    return select(*counts).where(T.user_id == WHO, T.expires_at > clock.at())


def _expire_ended(clock: Clock) -> Any:
    """Let the clean-up have what has ended, but for the newest of each user; some at a time.

    Those alive come first: when they end, there is room for them. What ended longer ago than any access token lives
    expires so long ago that its deletion is no news: the trigger of migration 0001 leaves nothing of it in the feed.
    """
    of_user = select(T.id, T.revoked_at).where(T.user_id == WHO, T.expires_at > clock.at())
    newest_first = of_user.order_by(T.revoked_at.is_(None).desc(), T.revoked_at.desc(), T.id.desc())
    beyond = newest_first.offset(MOST_KEPT).limit(EXPIRED_AT_ONCE).subquery("beyond")
    ended = select(beyond.c.id).where(beyond.c.revoked_at.is_not(None))
    unlocked = select(T.id).where(T.id.in_(ended)).with_for_update(skip_locked=True)
    long_ago = clock.at(-FORGOTTEN_AFTER)
    expires_at = case((T.revoked_at > long_ago, T.revoked_at), else_=long_ago)
    return update(REFRESH_TOKENS).values(expires_at=expires_at).where(T.id.in_(unlocked))


def _notify_alone(clock: Clock) -> Any:
    this = REFRESH_TOKENS.alias("this").c
    opened_at = select(this.created_at).where(this.id == bindparam("session_id", type_=Uuid()))
    return _notify(clock, opened_at.scalar_subquery())


NOTE = Prepared(lambda clock: _noted(clock).where(U.id.in_(_UNLOCKED)))
NOTIFY, EXPIRE_ENDED, COUNT = map(Prepared, (_notify_alone, _expire_ended, _count))


@cache
def opened(spend: Spending | None, whole: Callable[[Clock], Any] | None = None) -> AuditedChange:
    """A session that a login opens, perhaps as a part of a larger statement."""
    event = SecurityEvent.LOGIN_SUCCEEDED
    return AuditedChange(lambda clock: _open(clock, spend)[1], event, user="user_id", session="id", whole=whole)


@cache
def opened_and_settled(spend: Spending | None, success: Prepared | None, with_notice: bool) -> AuditedChange:
    """The same with all that goes with a login, as one statement, which SQLite cannot do.

    No part sees what another writes, nor what was committed since the statement began. So only who has the account to
    itself, and has seen the sign-in before, notes, counts and compares. PostgreSQL makes the changes from the last to
    the first: the tallies, which others wait for, are locked last.
    """

    def build(clock: Clock) -> Any:
        alone, seen = _UNLOCKED.cte("alone"), USERS.alias("seen").c
        latest = select(seen.last_login_at).where(seen.id == WHO).scalar_subquery()
        saw_all = and_(select(alone.c.id).exists(), U.last_login_at.is_not_distinct_from(latest)).label("saw_all")
        account, change = _open(clock, spend, [saw_all])
        changed = change.cte("changed")
        counted = _count(clock).cte("counted")
        statement = with_trail(clock, changed, SecurityEvent.LOGIN_SUCCEEDED, "user_id", "id", id_=TRAIL_ID)
        if success:
            is_opened = select(changed.c.id).exists()
            statement = statement.add_cte(success.build(clock, is_opened).cte("succeeded"))
        noted = _noted(clock).where(U.id == alone.c.id, alone.c.id == changed.c.user_id)
        statement = statement.add_cte(noted.cte("noted"))
        of_account = changed.join(account, account.c.id == changed.c.user_id).join(counted, true())
        told = (case((account.c.saw_all, counted.c[name] + 1)).label(name) for name in ("alive", "kept"))
        statement = statement.select_from(of_account).add_columns(*told)
        if with_notice:
            opened_at = select(changed.c.created_at).where(select(account.c.id).where(account.c.saw_all).exists())
            mailed = _notify(clock, opened_at.scalar_subquery()).cte("mailed")
            statement = statement.add_columns(select(mailed.c.id).exists().label("mailed"))
        return statement

    return opened(spend, build)
