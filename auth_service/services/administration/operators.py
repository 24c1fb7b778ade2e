"""What an operator at the command line does to accounts beyond what administrators do over HTTP."""

import asyncio
from uuid import UUID

from auth_service.errors import NoSuchUser
from auth_service.identifiers import account_names, canonical_email, canonical_username
from auth_service.models import LoginAccount, Role, User
from auth_service.repositories.transaction import Database, retried
from auth_service.security.passwords import UNUSABLE, Passwords
from auth_service.services.passwords.policy import PasswordPolicy


class Operators:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_id(self, whose: str) -> UUID:
        """Return the id of the account with this id, e-mail address or username.

        Raises:
            NoSuchUser: there is none.
            InvalidInput: no account can have it.
        """
        user_id = _uuid(whose)
        async with self._database.statement() as tx:
            user: User | LoginAccount | None = await tx.users.find_user(user_id) if user_id else None
            if user is None and "@" in whose:
                user = await tx.users.find_by_email(canonical_email(whose))
            elif user is None:
                user = await tx.users.find_by_username(canonical_username(whose))
        if user is None:
            raise NoSuchUser
        return user.id

    @retried
    async def create(
        self, email: str, username: str | None, hashed_password: str, role: Role, *, is_verified: bool
    ) -> User:
        """Create an account. No mail is sent, and nothing is throttled.

        Raises:
            InvalidInput: the e-mail address or the username cannot be taken.
            AccountExists: one of them is already taken.
        """
        names = account_names(email, username)
        values = {**names, "hashed_password": hashed_password, "role": role, "is_verified": is_verified}
        async with self._database.statement() as tx:
            return await tx.users.add(values)


async def hash_chosen(
    password: str | None, names: tuple[str | None, ...], policy: PasswordPolicy, passwords: Passwords
) -> str:
    """Return the hash of a password that the policy takes for an account of these names; without one, the unusable.

    Raises:
        InvalidPassword: the policy refuses it.
    """
    if password is None:
        return UNUSABLE
    accepted = policy.accept("password", password, names)
    return await asyncio.to_thread(passwords.hash, accepted)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
