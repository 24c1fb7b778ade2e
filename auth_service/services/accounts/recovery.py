"""Links in mails: asked for with an e-mail address, used once. They verify the address, or recover the account, and
never open a session.
"""

from collections.abc import Sequence
from uuid import UUID

from auth_service.errors import InvalidLink, LinkFault
from auth_service.identifiers import canonical_email
from auth_service.models import (
    UNUSABLE,
    ChangeKind,
    EndReason,
    FactorKind,
    FactorPolicy,
    LinkPurpose,
    MailKind,
    ResetReason,
    SecurityEvent,
    StopReason,
    User,
)
from auth_service.repositories.database import Database
from auth_service.repositories.mail.link_uses import FoundLink
from auth_service.repositories.retries import retried
from auth_service.repositories.transaction import Transaction
from auth_service.security.tokens.link_tokens import hash_link_token
from auth_service.services.accounts.reauthentication import Reauthentication
from auth_service.services.factors.stoppable_change import stop_changes
from auth_service.services.mail.notices import Notices
from auth_service.services.passwords.new_password import NewPasswords
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.sessions.revocations import Revocations
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.rate_limits import RateLimits
from auth_service.services.throttling.throttle import Throttler


class Recovery:
    def __init__(
        self,
        *,
        database: Database,
        revocations: Revocations,
        new_passwords: NewPasswords,
        proof: Reauthentication,
        throttle: Throttler,
        rate_limits: RateLimits,
        notices: Notices,
        factor_policy: FactorPolicy,
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._new_passwords = new_passwords
        self._proof = proof
        self._throttle = throttle
        self._rate_limits = rate_limits
        self._notices = notices
        self._factor_policy = factor_policy

    async def ask(self, kind: MailKind, email: str, client_ip: str | None) -> None:
        """Have a link sent to the account with this e-mail address, asked for from this IP address.

        The account is looked up when the mail is sent, so an unknown address costs and answers the same.

        Raises:
            InvalidInput: not an e-mail address.
            MailNotConfigured: there is no mail server.
            TooManyAttempts: for this e-mail address, or from this IP address.
        """
        self._notices.ensure_configured()
        name = canonical_email(email)
        await self._rate_limits.link_request(kind, name, client_ip)
        await self._order(kind, name)

    @retried
    async def _order(self, kind: MailKind, name: str) -> None:
        async with self._database.transaction() as tx:
            await tx.outbox.add(kind, recipient=name)
            await tx.audit.add(SecurityEvent.LINK_REQUESTED, kind=kind)

    async def verify_email(self, token: str, bearer: Bearer | None, password: str | None) -> None:
        """Note that the owner of this link, who is signed in or knows the password, has the mailbox.

        Raises:
            InvalidLink: unknown, used, replaced, expired, or for something else; or the credentials changed meanwhile.
            PasswordRequired: nobody is signed in to this account, and no password was given; the link stays good.
            InvalidCredentials: the password is wrong; the link stays good.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            TooManyAttempts: the password was wrong too often.
            HashingOverloaded: the lane is full.
        """
        token_hash = hash_link_token(token)
        link = await self._find(token_hash, LinkPurpose.VERIFY_EMAIL)
        async with self._proof.by_link(link.user, bearer, password) as attempt:
            await self._verify(token_hash, link.user, attempt)

    async def take_over(self, token: str, new: str, client_ip: str | None) -> None:
        """Verify the address of this link for somebody who does not know the password, and sets a new one.

        Whoever chose the one from before never showed that the mailbox is theirs: all that they have ends, as in
        `reset_password()`, which also says what is raised.
        """
        await self._set_password(LinkPurpose.VERIFY_EMAIL, token, new, client_ip)

    async def reset_password(self, token: str, new: str, client_ip: str | None) -> None:
        """Set a new password for the owner of this link, and end all of their sessions; none is opened.

        The link is looked at before the password is hashed, so that a made-up one costs no hash, and used up with the
        change. Failures that were counted against the account are wiped out, also from this IP address:
        those guesses were at a password that is gone.

        Raises:
            InvalidLink: unknown, used, replaced, expired, or for something else.
            InvalidPassword: the policy refuses the new one; the link stays good.
            HashingOverloaded: there is no room in the lane; nothing was looked up.
        """
        await self._set_password(LinkPurpose.RESET_PASSWORD, token, new, client_ip)

    async def _set_password(self, purpose: LinkPurpose, token: str, new: str, client_ip: str | None) -> None:
        self._new_passwords.lane.ensure_room()
        token_hash = hash_link_token(token)
        link = await self._find(token_hash, purpose)
        accepted = self._new_passwords.accept("new_password", new, (link.user.email, link.user.username))
        hashed = await self._new_passwords.hash(accepted)
        self._revocations.add(await self._replace(token_hash, link, hashed, client_ip))

    async def _find(self, token_hash: bytes, purpose: LinkPurpose) -> FoundLink:
        async with self._database.statement() as tx:
            return await tx.link_uses.find(token_hash, purpose)

    @retried
    async def _verify(self, token_hash: bytes, user: User, attempt: Attempt) -> None:
        """With the credentials of whoever was let in: others do not take the link away."""
        async with self._database.transaction() as tx:
            uses = tx.link_uses
            if not await uses.hold(user):
                raise InvalidLink(LinkFault.OUTDATED)
            await uses.use(token_hash, LinkPurpose.VERIFY_EMAIL)
            await uses.verify_email(user.id)
            await attempt.succeed(tx)

    @retried
    async def _replace(self, token_hash: bytes, link: FoundLink, hashed: str, client_ip: str | None) -> Sequence[UUID]:
        """In the lock order of every change of credentials: the user, then what hangs on them.

        If the address was never verified, whoever registered may be a stranger to its owner. Their password, sessions,
        links and second factors end here; so must whatever else can be signed in with, once an account can have it. Nor
        may they keep the owner out by changing credentials meanwhile: those that count are the ones found once the user
        is locked.
        """
        async with self._database.transaction() as tx:
            await tx.link_uses.use(token_hash, link.purpose)
            if link.purpose is LinkPurpose.VERIFY_EMAIL:
                await tx.link_uses.verify_email(link.user.id)
            user = await tx.users.lock(link.user.id)  # as `use` has by now
            if user is None or await tx.users.change_password(user, hashed, by_link=True) is None:
                raise InvalidLink(LinkFault.OUTDATED)
            is_verified = user.is_verified and link.purpose is not LinkPurpose.VERIFY_EMAIL  # as it was before
            takes_over = not is_verified and not user.email_assigned
            await self._ensure_may_have_one(tx, user, takes_over=takes_over)
            if takes_over:
                await tx.factors.remove_all(user.id, ResetReason.TAKEOVER)
                await stop_changes(tx, user.id, StopReason.OTHER_CHANGE, ChangeKind.FACTORS)
            ended = await tx.user_sessions.revoke_of_user(user.id, EndReason.PASSWORD_CHANGED)
            await self._notices.notify(tx, MailKind.PASSWORD_CHANGED, user.id)
            await self._throttle.forgive(tx, user.id, client_ip)
            return ended

    async def _ensure_may_have_one(self, tx: Transaction, user: User, *, takes_over: bool) -> None:
        """Raise `InvalidLink` if the role must have a passkey that is there, and the link would take it away, or give a
        password where the user, as it was before, has given that up: no mail opens such an account.
        """
        loses_something = takes_over or user.hashed_password == UNUSABLE
        if not (loses_something and self._factor_policy.asks_for_passkey(user.role)):
            return
        if any(factor.kind == FactorKind.PASSKEY for factor in await tx.factors.list_of_user(user.id)):
            raise InvalidLink(LinkFault.NEEDS_PASSKEY)
