"""Changes of what people sign in with. Each ends, in one transaction, the sessions that the old credentials opened."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from auth_service.errors import FieldFaults, InvalidAccessToken, InvalidCredentials
from auth_service.models import Device, EndReason, LoginAccount, MailKind, SecurityEvent, User
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.services.accounts.reauthentication import Reauthentication
from auth_service.services.mail.notices import Notices
from auth_service.services.passwords.new_password import NewPasswords
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.sessions.sign_in import SignIn
from auth_service.services.sessions.token_issuer import TokenIssuer, TokenPair
from auth_service.services.throttling.attempt import Attempt


class PasswordChange:
    def __init__(
        self,
        *,
        database: Database,
        revocations: Revocations,
        sign_in: SignIn,
        issuer: TokenIssuer,
        new_passwords: NewPasswords,
        proof: Reauthentication,
        notices: Notices,
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._sign_in = sign_in
        self._issuer = issuer
        self._new_passwords = new_passwords
        self._proof = proof
        self._notices = notices

    async def change_password(self, bearer: Bearer, current: str | None, new: str, device: Device) -> TokenPair:
        """Set a new password, end every session of the user, and return the tokens of a new one.

        The bearer's own session ends too: whoever holds a copy of its tokens is out (ASVS 7.2.4). The new one tells of
        the same sign-in: the password alone makes nobody more recent, nor surer.

        Raises:
            InvalidFields: the policy refuses the new one; the current one was not given, and there is one.
            InvalidCredentials: the current one is wrong, or was changed by another request at the same moment.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: the current one was wrong too often, or the password was changed too often.
            Unavailable: no access token could be signed, so nothing is changed.
        """
        user = await self._proof.owner(bearer)
        faults, accepted = FieldFaults(), ""
        with faults.noted():
            self._proof.ensure_given(user, current)
        with faults.noted():
            accepted = self._new_passwords.accept("new_password", new, (user.email, user.username))
        faults.refuse()
        async with self._proof.given(bearer, user, current, SecurityEvent.PASSWORD_CHANGE_REFUSED) as attempt:
            hashed = await self._new_passwords.hash(accepted)
            await self._issuer.ensure_ready()  # no session is opened that could not be answered
            ended, tokens = await self._replace(user, hashed, bearer.session_id, device, attempt)
        self._revocations.add(ended)
        return await tokens()

    @retried
    async def _replace(
        self, user: User, hashed: str, asking: UUID, device: Device, attempt: Attempt
    ) -> tuple[Sequence[UUID], Callable[[], Awaitable[TokenPair]]]:
        """The user's row first, then the sessions': the one lock order, in which a login waits at the first."""
        async with self._database.transaction() as tx:
            epoch = await tx.users.change_password(user, hashed)
            if epoch is None:
                raise InvalidCredentials
            proved = await tx.user_sessions.authentication_of(asking)
            ended = await tx.user_sessions.revoke_of_user(user.id, EndReason.PASSWORD_CHANGED)
            if proved is None or asking not in ended:
                raise InvalidAccessToken  # rolled back on purpose: who was signed out meanwhile changes nothing
            account = LoginAccount(user.id, hashed, user.role, user.is_active, user.is_verified, epoch)
            tokens = await self._sign_in.open_instead(tx, account, proved, device, EndReason.PASSWORD_CHANGED)
            await attempt.succeed(tx)
            await self._notices.notify(tx, MailKind.PASSWORD_CHANGED, user.id)
            return ended, tokens
