"""Sends mail through an SMTP server. Every wait in here has an end, and what went wrong has one of two names."""

import asyncio
import ssl
from datetime import UTC, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from urllib.parse import urlsplit

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPHeloError, SMTPNotSupported, SMTPRecipientsRefused

from auth_service.mail.letters import Letter
from auth_service.settings import MailSettings, address_of
from auth_service.tracing import Attributes, span

ASK_AGAIN = 300.0  # seconds: a server may have been replaced
ASK_SOON = 30.0  # one that has not answered
PERMANENT = range(500, 600)
NO_MAILBOX = 553  # RFC 5321, 4.2.3: the name of a mailbox is not allowed


class NotDeliveredError(Exception):
    """The mail was not taken now; it may be later. `code` is what the server said about this mail, if it did."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__()
        self.code = code


class UndeliverableError(Exception):
    """The server will never take this mail; `code` is its word for that."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class SmtpServer:
    """`sends_utf8` is whether the server offered SMTPUTF8 (RFC 6531) when it last answered; None before that."""

    def __init__(self, settings: MailSettings, base_url: str) -> None:
        self.sends_utf8: bool | None = None
        self._settings = settings
        self._sender = address_of(settings.sender or "")
        self._own_name = urlsplit(base_url).hostname or "localhost"  # never asked of the DNS
        self._tls = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)

    async def deliver(self, letter: Letter) -> None:
        """Hand over one mail; when this returns, the server has taken it.

        Raises:
            NotDeliveredError: not now.
            UndeliverableError: this mail never.
        """
        message = compose(letter, self._sender)
        try:
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                await self._converse(message, letter.recipient)
        except SMTPRecipientsRefused as error:
            raise _verdict(error.recipients[0].code) from error
        except SMTPDataError as error:
            raise _verdict(error.code) from error
        except SMTPNotSupported as error:
            raise _unsupported(error) from error
        # Also a refused sign-in or sender: that is for the operator to put right, and no reason to lose mail.
        except (SMTPException, OSError, ValueError) as error:
            raise NotDeliveredError from error

    async def greet(self, patience: timedelta) -> None:
        """Connect as for a mail, with TLS and the sign-in, and send none; raises `NotDeliveredError`."""
        client = self._client(patience)
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await self._connect(client)
        except (SMTPException, OSError, ValueError) as error:
            raise NotDeliveredError from error
        finally:
            client.close()

    async def keep_asking(self) -> None:
        """Find out what the server offers, now and every few minutes, until the task is cancelled."""
        while True:
            answered = True
            try:
                await self.greet(self._settings.timeout)
            except NotDeliveredError:
                answered = False
            await asyncio.sleep(ASK_AGAIN if answered else ASK_SOON)

    async def _connect(self, client: SMTP) -> None:
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            try:
                await client.ehlo()
            except SMTPHeloError:  # a server of before RFC 1869
                await client.helo()
        self.sends_utf8 = client.supports_extension("smtputf8")

    async def _converse(self, message: EmailMessage, recipient: str) -> None:
        client = self._client(self._settings.timeout)
        told: Attributes = {"server.address": self._settings.host or "", "server.port": self._settings.smtp_port}
        try:
            with span("SMTP", "CLIENT", told) as conversation:
                await self._connect(client)
                conversation.mark("connected")
                await client.send_message(message, sender=self._sender.addr_spec, recipients=[recipient])
        finally:
            client.close()  # without QUIT: the mail is theirs, and its answer is not worth a wait

    def _client(self, patience: timedelta) -> SMTP:
        settings = self._settings
        return SMTP(
            hostname=settings.host,
            port=settings.smtp_port,
            local_hostname=self._own_name,
            timeout=patience.total_seconds(),
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=None if settings.security == "none" else self._tls,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
        )


def compose(letter: Letter, sender: Address) -> EmailMessage:
    """The mail in the form of RFC 5322: plain text, and the same in HTML.

    The id is that of the row, so that a mail that was sent twice can be known for one. Raises `UndeliverableError` if
    the address cannot stand in a header.
    """
    local, _, domain = letter.recipient.rpartition("@")
    # In UTF-8 only where it has to be (RFC 6532): any server takes the other form.
    message = EmailMessage(policy=POLICY if local.isascii() else POLICY.clone(utf8=True))
    message["From"] = sender
    try:
        message["To"] = Address(addr_spec=letter.recipient) if local.isascii() else Address("", local, domain)
    except (ValueError, IndexError, MessageError) as error:
        raise UndeliverableError(NO_MAILBOX) from error
    message["Subject"] = letter.subject
    message["Date"] = letter.created_at.astimezone(UTC)
    message["Message-ID"] = f"<{letter.id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence notices, please
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def _verdict(code: int) -> Exception:
    return UndeliverableError(code) if code in PERMANENT else NotDeliveredError(code)


def _unsupported(error: Exception) -> Exception:
    """A server without STARTTLS or AUTH may get them; one without SMTPUTF8 cannot be sent a name that is not ASCII."""
    return UndeliverableError(NO_MAILBOX) if "SMTPUTF8" in str(error) else NotDeliveredError()
