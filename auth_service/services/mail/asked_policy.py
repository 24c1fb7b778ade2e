"""For commands, which no process has told what the mail server offers: they ask it."""

from contextlib import suppress
from datetime import timedelta

from auth_service.identifiers.addresses import AddressPolicy
from auth_service.settings import Settings

PATIENCE = timedelta(seconds=5)


async def ask_address_policy(settings: Settings, *emails: str) -> AddressPolicy:
    """Return which addresses can be taken; a server that does not answer is not held against any.

    It is asked if there is one, unless all that is to be judged are these addresses, and none of them depends on it.
    """
    sends_utf8 = None
    if settings.mail.host and not (emails and all(email.rpartition("@")[0].isascii() for email in emails)):
        from auth_service.mail.smtp import NotDeliveredError, SmtpServer  # noqa: PLC0415  # only where mail is sent

        server = SmtpServer(settings.mail, settings.base_url)
        with suppress(NotDeliveredError):
            await server.greet(PATIENCE)
        sends_utf8 = server.sends_utf8
    return AddressPolicy(takes_in_house=settings.takes_in_house_domains, sends_utf8=lambda: sends_utf8)
