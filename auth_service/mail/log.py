"""In place of an SMTP server: the embedded default writes to the log what it would send."""

import structlog

from auth_service.mail.letters import Letter

log = structlog.get_logger()


class MailLog:
    sends_utf8: bool | None = True

    async def keep_asking(self) -> None:
        """There is nobody to ask."""

    async def deliver(self, letter: Letter) -> None:
        """Tell whom the mail is for and what it is about, with the link, which is needed to try the service out."""
        link = {"link": letter.link} if letter.link else {}
        log.info("mail.written", kind=letter.kind, recipient=letter.recipient, subject=letter.subject, **link)
