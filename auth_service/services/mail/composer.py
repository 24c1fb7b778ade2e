"""The composer: writes a mail at the moment when it is sent, for whom it is then, with its link."""

from auth_service.identifiers import canonical_email
from auth_service.mail.letters import Letter, Letters
from auth_service.models import LINKS, DueMail, MailKind, User
from auth_service.repositories.database import Database
from auth_service.repositories.retries import retried
from auth_service.security.tokens.link_tokens import code_of_link_token
from auth_service.services.mail.link_issuer import LinkIssuer
from auth_service.services.mail.recipients import deliverable, is_asked_for, is_for, may_be_a_strangers
from auth_service.services.throttling.rate_limits import RateLimits


class TooManyLinksError(Exception):
    """Others asked for so many mails that this one has to wait, for so many `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class Composer:
    def __init__(self, database: Database, letters: Letters, link_issuer: LinkIssuer, rate_limits: RateLimits) -> None:
        self._database = database
        self._letters = letters
        self._link_issuer = link_issuer
        self._rate_limits = rate_limits

    async def compose(self, mail: DueMail) -> Letter | None:
        """Write the mail, with a link that is committed before it is sent; None if there is no recipient.

        Raises:
            UndeliverableError: its address is none.
            TooManyAttempts: too many mails of this kind went to this address.
            TooManyLinksError: it has to wait.
            WrongTemplateError: its template cannot be used.
        """
        user = await self._owner(mail)
        if user is None or not is_for(user, mail):
            return None
        recipient = deliverable((mail.user_id and mail.recipient) or user.email)
        if mail.attempts == 1 and may_be_a_strangers(mail, user):
            await self._rate_limits.mail(mail.kind, canonical_email(recipient))
        if mail.kind == MailKind.REGISTERED_AGAIN and not user.is_verified:
            # Nobody can sign in yet, and the two may be different people: the page of this link lets the owner in.
            mail = mail._replace(kind=MailKind.VERIFY_EMAIL)
        if is_asked_for(mail) and (seconds := await self._rate_limits.link()):
            raise TooManyLinksError(seconds)
        if mail.kind not in LINKS:
            return self._letters.compose(mail, recipient)
        token = await self._mint(mail, user)
        if token is not None:
            link = self._link_issuer.link(MailKind(mail.kind), token)
            return self._letters.compose(mail, recipient, link, code_of_link_token(token))
        now = await self._owner(mail)
        return await self.compose(mail) if now and _credentials(now) != _credentials(user) else None

    async def _owner(self, mail: DueMail) -> User | None:
        async with self._database.statement() as tx:
            return await tx.users.find_user(mail.user_id or mail.recipient or "")

    @retried
    async def _mint(self, mail: DueMail, user: User) -> str | None:
        async with self._database.transaction() as tx:
            return await self._link_issuer.mint(tx, mail, user)


def _credentials(user: User) -> tuple[str, int]:
    """What a link is made for: if it changed after it was read, the mail must be looked at anew, and not be lost."""
    return user.email_canonical, user.credential_epoch
