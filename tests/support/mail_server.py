"""A real SMTP server on loopback that keeps what it is sent, and can be told to behave badly."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.polling import eventually

logging.getLogger("mail.log").setLevel(logging.WARNING)  # it tells all that it is sent

LOGIN = (b"postbox", b"mail-password")


@dataclass
class MailServer:
    """What the server was sent, and how it answers. `port` is where it listens."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    asked: int = 0
    """How often somebody wanted to hand over a mail."""
    to_recipient: str = "250 OK"
    die_after: int = 0
    """So many times the connection breaks after a mail was taken and before that is said."""

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.asked += 1
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, _class=EmailMessage, policy=default)
        self.mails.append(mail)
        self.envelopes.append((envelope.mail_from or "", envelope.rcpt_tos))
        self.was_encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        if self.die_after:
            self.die_after -= 1
            server.transport.abort()
        return "250 taken"

    async def wait_for(self, count: int, seconds: float = 20) -> list[EmailMessage]:
        """Return the mails when there are so many."""

        async def enough() -> bool:
            return len(self.mails) >= count

        await eventually(enough, seconds=seconds)
        return self.mails

    def subjects(self) -> list[str]:
        return sorted(str(mail["Subject"]) for mail in self.mails)


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content


def link_in(mail: EmailMessage) -> str:
    (link,) = [line for line in text_of(mail).splitlines() if line.startswith("http")]
    return link


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None,
    security: str = "none",
    *,
    login: bool = False,
    port: int = 0,
    utf8: bool = True,
) -> AsyncIterator[MailServer]:
    """Serve until the block ends; `utf8` is whether SMTPUTF8 is offered."""
    kept = MailServer()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        smtp = SMTP(
            kept,
            hostname="mail.test",
            enable_SMTPUTF8=utf8,
            tls_context=tls if security == "starttls" else None,
            require_starttls=security == "starttls",
            authenticator=_authenticate if login else None,
            auth_required=login,
            auth_require_tls=login,
            loop=asyncio.get_running_loop(),
        )
        sessions.append(smtp)
        return smtp

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", port, ssl=tls if security == "tls" else None)
    kept.port = server.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        server.close()
        for smtp in sessions:
            if smtp.transport:
                smtp.transport.close()  # else one whose client has just gone outlives the loop: a warning, an error
        await asyncio.sleep(0)


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == LOGIN, handled=False)


@asynccontextmanager
async def tarpit(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A port where whoever connects gets what `answer` writes; yields the port."""
    talks: set[asyncio.Task[Any]] = set()

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await answer(writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
