"""An app in this process that sends its mail to a server of the tests, and the mails that wait there."""

from typing import Any

import httpx
from sqlalchemy import select, update

from auth_service.models import OUTGOING_MAILS, USERS

from .client import Client
from .mail_server import MailServer
from .polling import eventually

SENDER = "Example Ltd. <no-reply@example.com>"
PLAIN: dict[str, Any] = {"host": "127.0.0.1", "security": "none", "sender": SENDER, "interval": 0.1, "timeout": 10}


def to(server: MailServer, **more: Any) -> dict[str, Any]:
    """The settings for this server."""
    return PLAIN | {"port": server.port} | more


def services_of(client: Client) -> Any:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    app: Any = transport.app
    return app.state.services


async def rows(client: Client) -> list[Any]:
    """The mails that wait."""
    async with services_of(client).gauges.database.statement() as tx:
        return list(await tx.connection.execute(select(OUTGOING_MAILS)))


async def mark_verified(client: Client, email: str, *, sent: bool = True) -> None:
    """As if the owner of this address had used the link in the mail to it, which is `sent` before."""
    if sent:
        await eventually(none_waits, client)
    verified = update(USERS).where(USERS.c.email_canonical == email).values(is_verified=True)
    async with services_of(client).gauges.database.transaction() as tx:
        await tx.connection.execute(verified)


async def none_waits(client: Client) -> bool:
    return not await rows(client)
