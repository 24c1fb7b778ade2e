"""A change of the e-mail address, agreed to with a link at the old address and with one at the new."""

from auth_service.errors import AccountExists, FieldFaults, InvalidCredentials, InvalidLink, Reason
from auth_service.identifiers import canonical_email
from auth_service.identifiers.addresses import AddressPolicy
from auth_service.models import ChangeKind, LinkPurpose, MailKind, SecurityEvent, StopReason, User
from auth_service.repositories.database import Database
from auth_service.repositories.mail.link_uses import EMAIL_CHANGE, FoundLink
from auth_service.repositories.retries import retried
from auth_service.security.tokens.link_tokens import hash_link_token
from auth_service.services.accounts.reauthentication import Reauthentication
from auth_service.services.factors.stoppable_change import stop_changes
from auth_service.services.mail.notices import Notices, requester_details
from auth_service.services.sessions.bearers import Bearer
from auth_service.services.throttling.attempt import Attempt
from auth_service.services.throttling.rate_limits import RateLimits


class EmailChange:
    """`conceals` says whether it stays secret that an address has an account."""

    def __init__(
        self,
        *,
        database: Database,
        proof: Reauthentication,
        rate_limits: RateLimits,
        notices: Notices,
        addresses: AddressPolicy,
        conceals: bool,
    ) -> None:
        self._database = database
        self._proof = proof
        self._rate_limits = rate_limits
        self._notices = notices
        self._addresses = addresses
        self._conceals = conceals

    async def ask(self, bearer: Bearer, new_email: str, current: str | None, client_ip: str | None) -> None:
        """Have links sent to both addresses; a change that was asked for before is off.

        Raises:
            MailNotConfigured: there is no mail server.
            InvalidFields: the new address cannot be taken, or is the account's own; or the current password was not
                given, and there is one.
            InvalidCredentials: the current password is wrong, or the account was changed at the same moment.
            InvalidAccessToken: the bearer's session has ended in the meantime.
            AccountExists: the new address is already taken, unless that is concealed.
            TooManyAttempts: the current password was wrong too often, or too many links were asked for.
        """
        self._notices.ensure_configured()
        faults, canonical = FieldFaults(), ""
        with faults.noted():
            canonical = self._addresses.accept(new_email, "new_email")
        user = await self._proof.owner(bearer)
        if canonical == user.email_canonical:
            faults.note("new_email", Reason.UNCHANGED, "Is already the address of this account.")
        with faults.noted():
            self._proof.ensure_given(user, current)
        faults.refuse()
        async with self._proof.given(bearer, user, current, SecurityEvent.EMAIL_CHANGE_REFUSED) as attempt:
            await self._rate_limits.link_request(MailKind.CONFIRM_EMAIL_CHANGE, str(user.id), client_ip)
            if not self._conceals:
                await self._ensure_free(canonical)
            if not await self._order(user, new_email.strip(), attempt):
                raise InvalidCredentials

    async def confirm(self, token: str, bearer: Bearer | None, password: str | None) -> bool:
        """Use one of the two links; return whether the address has changed now, or waits for the other link.

        At the new address a click is not enough, or a stranger's would let somebody else's account have that address.

        Raises:
            InvalidLink: unknown, used, replaced, expired, or for something else.
            PasswordRequired, InvalidCredentials, InvalidAccessToken, TooManyAttempts, HashingOverloaded: as in
                `Reauthentication.by_link()`, for the link at the new address; it stays good.
            AccountExists: another account has taken the address meanwhile; nothing is changed, and the link stays good.
        """
        token_hash = hash_link_token(token)
        async with self._database.statement() as tx:
            link = await tx.link_uses.find(token_hash, *EMAIL_CHANGE)
        if link.new_email is None:
            raise InvalidLink
        if link.purpose is LinkPurpose.APPROVE_EMAIL_CHANGE:
            return await self._confirm(token_hash, link, link.new_email, Attempt())
        async with self._proof.by_link(link.user, bearer, password) as attempt:
            return await self._confirm(token_hash, link, link.new_email, attempt)

    async def _ensure_free(self, canonical: str) -> None:
        """For a quick answer alone: when both links are used, the unique index decides."""
        async with self._database.statement() as tx:
            if await tx.users.find_by_email(canonical) is not None:
                raise AccountExists

    @retried
    async def _order(self, user: User, new_email: str, attempt: Attempt) -> bool:
        """An address that was never verified may be a typo or a stranger's: only the new one gets a link then."""
        async with self._database.transaction() as tx:
            if not await tx.link_uses.hold(user):
                return False
            await tx.link_uses.withdraw(user, *EMAIL_CHANGE)
            # What was asked for with a password dies with it, also while its mails wait for a mail server.
            epoch = user.credential_epoch
            if user.is_verified:
                await tx.outbox.add(MailKind.APPROVE_EMAIL_CHANGE, user.id, new_email=new_email, credential_epoch=epoch)
            await tx.outbox.add(
                MailKind.CONFIRM_EMAIL_CHANGE, user.id, new_email, new_email=new_email, credential_epoch=epoch
            )
            await tx.audit.add(SecurityEvent.LINK_REQUESTED, user.id, kind=MailKind.CONFIRM_EMAIL_CHANGE)
            await attempt.succeed(tx)
            return True

    @retried
    async def _confirm(self, token_hash: bytes, link: FoundLink, new_email: str, attempt: Attempt) -> bool:
        async with self._database.transaction() as tx:
            await tx.link_uses.use(token_hash, link.purpose)
            changed = await tx.link_uses.change_email(link.user.id, new_email, canonical_email(new_email))
            if changed:
                await stop_changes(tx, link.user.id, StopReason.OTHER_CHANGE, ChangeKind.EMAIL)
            # An address that was never verified may be a stranger's, whom the new one could tell anything.
            if changed and link.user.is_verified and self._notices.is_configured:
                await tx.outbox.add(
                    MailKind.EMAIL_CHANGED, link.user.id, link.user.email, new_email=new_email, **requester_details()
                )
            await attempt.succeed(tx)
            return changed
