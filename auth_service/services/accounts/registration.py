"""New accounts, and the bearer's own account as it is shown."""

from uuid_utils.compat import uuid7

from auth_service.errors import FieldFaults, InvalidAccessToken, InvalidInput, Reason
from auth_service.identifiers import account_names, canonical_username
from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import AccountView, MailKind, User
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.services.mail.notices import Notices
from auth_service.services.passwords.new_password import NewPasswords
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.throttling.rate_limits import RateLimits


class Registration:
    """`conceal` says whether it stays secret that an address has an account; `expires`, whether one that nobody uses
    goes again: not where no mail server could have brought the link to verify it.
    """

    def __init__(
        self,
        *,
        database: Database,
        new_passwords: NewPasswords,
        rate_limits: RateLimits,
        notices: Notices,
        addresses: AddressPolicy,
        conceal: bool,
        expires: bool,
    ) -> None:
        self._database = database
        self._new_passwords = new_passwords
        self._rate_limits = rate_limits
        self._notices = notices
        self._addresses = addresses
        self._conceal = conceal
        self._expires = expires

    async def register(self, email: str, password: str, username: str | None, client_ip: str | None) -> User | None:
        """Create an account, from this IP address; always None if existing accounts are concealed.

        Raises:
            InvalidFields: the e-mail address, the username or the password cannot be taken; each that cannot is named.
            AccountExists: the e-mail address or the username is already taken, or the username looks like another's.
            TooManyAttempts: too many registrations, from this IP address or in all.
        """
        faults, values, secret = FieldFaults(), dict[str, str | None](), ""
        with faults.noted():
            self.check_username(username)
        with faults.noted():
            values = account_names(email, None if faults.found else username, self._addresses.accept)
        with faults.noted():
            secret = self._new_passwords.accept("password", password, (email, username))
        faults.refuse()
        await self._rate_limits.registration(client_ip)
        hashed = await self._new_passwords.hash(secret)
        values["hashed_password"] = hashed
        return await (self._add_or_tell_owner(values) if self._conceal else self._add(values))

    def check_username(self, username: str | None) -> None:
        """Raise `InvalidInput` if nobody can register with this username, or none.

        No username can be registered with if accounts are concealed: whether one is free again would tell what became
        of its first registration.
        """
        if username is not None and self._conceal:
            sentence = "Choose a username after signing in for the first time."
            raise InvalidInput("username", Reason.NOT_ALLOWED, sentence)
        if username is not None:
            canonical_username(username)

    async def show(self, bearer: Bearer) -> AccountView:
        """Return the bearer's account; raises `InvalidAccessToken` if their session has ended in the meantime."""
        async with self._database.statement() as tx:
            account = await tx.users.view_by_session(bearer.user_id, bearer.session_id)
        if account is None:
            raise InvalidAccessToken
        return account

    @retried
    async def _add(self, values: dict[str, str | None]) -> User:
        async with self._database.transaction() as tx:
            user = await tx.users.add(values)
            if not self._notices.is_configured:
                return user
            if self._expires:
                await tx.registrations.add(user.id)
            await tx.outbox.add(MailKind.VERIFY_EMAIL, user.id)
        return user

    @retried
    async def _add_or_tell_owner(self, values: dict[str, str | None]) -> None:
        """As many statements whether the address is free or not: the time of the answer says nothing about it."""
        async with self._database.transaction() as tx:
            user = await tx.users.add_unless_taken(values)
            if self._expires:
                await tx.registrations.add(user.id if user else uuid7())
            if user is not None:
                await tx.outbox.add(MailKind.VERIFY_EMAIL, user.id)
            else:
                await tx.outbox.add(MailKind.REGISTERED_AGAIN, recipient=values["email_canonical"])
