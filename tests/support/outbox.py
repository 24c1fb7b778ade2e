"""An app in this process that sends its mail to a server of the tests, and the mails that wait there."""

from typing import Any

import httpx
from sqlalchemy import select

from auth_service.models import OUTGOING_MAILS

from .client import Client
from .mail_server import MailServer

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


async def none_waits(client: Client) -> bool:
    return not await rows(client)
