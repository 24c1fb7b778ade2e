"""What changes of factors have in common, each in the transaction of the change."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from auth_service.errors import InvalidAccessToken
from auth_service.models import Authentication, Device, EndReason, LoginAccount, User
from auth_service.repositories.transaction import Transaction
from auth_service.security.factors.recovery_codes import hash_recovery_code, new_recovery_codes
from auth_service.security.typed_codes import spell_code
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.sessions.token_issuer import TokenPair


@dataclass(frozen=True)
class EnrolmentSecret:
    """What an authenticator app is told: the secret to type in, and the URI of a QR code."""

    secret: str = field(repr=False)
    otpauth_uri: str = field(repr=False)


@dataclass(frozen=True)
class Confirmed:
    """What the first code of a factor leads to. For the first factor of an account, `tokens` makes those of the session
    that is left. There are no `recovery_codes` if those from before are still good.
    """

    recovery_codes: Sequence[str] = field(repr=False)
    ended: Sequence[UUID] = ()
    tokens: Callable[[], Awaitable[TokenPair]] | None = None


async def renew_recovery_codes(tx: Transaction, user_id: UUID) -> Sequence[str]:
    """Give a user whose row is locked ten recovery codes in place of those from before; return them as they are told,
    which is done once.
    """
    codes = new_recovery_codes()
    await tx.factors.set_recovery_codes(user_id, [hash_recovery_code(code) for code in codes])
    return [spell_code(code) for code in codes]


async def end_sessions(tx: Transaction, user: User, reason: EndReason) -> tuple[LoginAccount, Sequence[UUID]]:
    """End every session of a user whose row is locked, and let no login that is under way open another; return the
    account as it is now, and the ids of those sessions.
    """
    epoch = await tx.users.raise_epoch(user.id)
    ended = await tx.user_sessions.revoke_of_user(user.id, reason)
    return LoginAccount(user.id, user.hashed_password, user.role, user.is_active, user.is_verified, epoch), ended


async def open_for_first_factor(
    tx: Transaction, owner: User, asking: UUID, *, proved: Authentication, device: Device, sign_in: SignIn
) -> Confirmed:
    """Give an account that is locked, and has its first factor now, recovery codes and one new session in place of all.

    The factor was proved, and nobody more recent: the time is that of the session that is `asking`.
    """
    codes = await renew_recovery_codes(tx, owner.id)
    before = await tx.user_sessions.authentication_of(asking)
    account, ended = await end_sessions(tx, owner, EndReason.FACTOR_ADDED)
    proved = proved._replace(time=before.time if before else None)
    tokens = await sign_in.open_instead(tx, account, proved, device, EndReason.FACTOR_ADDED)
    return Confirmed(codes, ended, tokens)


async def lock_owner(tx: Transaction, bearer: Bearer) -> User:
    """Lock the bearer's account before anything else is read, so that two changes of factors see each other.

    Raises:
        InvalidAccessToken: the bearer's session has ended in the meantime.
    """
    await tx.users.lock(bearer.user_id)
    owner = await tx.users.find_by_session(bearer.user_id, bearer.session_id)
    if owner is None:
        raise InvalidAccessToken
    return owner
