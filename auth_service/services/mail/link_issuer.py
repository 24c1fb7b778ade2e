"""Makes the links that mails carry, at the moment when they are sent, and those that an operator hands over."""

from auth_service.models import LINKS, STOPS, DueMail, LinkPurpose, MailKind, User
from auth_service.repositories.transaction import Transaction
from auth_service.security.tokens.link_tokens import hash_link_token, new_link_token
from auth_service.settings import Settings


class LinkIssuer:
    def __init__(self, settings: Settings) -> None:
        mail = settings.mail
        email_change = mail.email_change_url or settings.page_url("confirm-email")
        self._urls = {
            LinkPurpose.VERIFY_EMAIL: mail.verify_url or settings.page_url("verify-email"),
            LinkPurpose.RESET_PASSWORD: mail.reset_url or settings.page_url("reset-password"),
            LinkPurpose.APPROVE_EMAIL_CHANGE: email_change,
            LinkPurpose.CONFIRM_EMAIL_CHANGE: email_change,
            LinkPurpose.KEEP_EMAIL: mail.keep_email_url or settings.page_url("keep-email"),
            LinkPurpose.KEEP_FACTORS: mail.keep_factors_url or settings.page_url("keep-factors"),
        }

    async def mint(self, tx: Transaction, mail: DueMail, user: User) -> str | None:
        """Make the token of a mail's link in place of the one before; None if the user may have none (any more)."""
        if mail.details.get("credential_epoch", user.credential_epoch) != user.credential_epoch:
            return None  # it was asked for with credentials of another day
        return await self._make(tx, MailKind(mail.kind), user, mail)

    async def mint_reset(self, tx: Transaction, user: User) -> str | None:
        """Make the token of a password reset without a mail, and take back the mails of one that were not sent yet.

        They would replace it each time that they are tried, and so for as long as a mail server does not answer.
        """
        await tx.link_uses.withdraw(user, LinkPurpose.RESET_PASSWORD)
        return await self._make(tx, MailKind.RESET_PASSWORD, user, None)

    async def _make(self, tx: Transaction, kind: MailKind, user: User, mail: DueMail | None) -> str | None:
        purpose, lifetime = LINKS[kind]
        token = new_link_token()
        if mail is not None and purpose in STOPS:
            made = await tx.pending_changes.set_link(mail, STOPS[purpose], hash_link_token(token))
        else:
            made = await tx.link_tokens.replace(user, purpose, hash_link_token(token), lifetime, mail)
        return token if made else None

    def link(self, kind: MailKind, token: str) -> str:
        """The configured URL with the token as its fragment, which no browser sends to a server."""
        return f"{self._urls[LINKS[kind][0]]}#token={token}"
