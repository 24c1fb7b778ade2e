"""An account whose address an administrator changes, and the time that passes until that takes effect."""

from dataclasses import dataclass
from typing import Any

import httpx

from .admins import Admin
from .client import Client
from .link_mails import LinkMails
from .sql import run_sql

OLD, NEW = "ada@example.com", "Ada.Byron@example.org"
PAGE = "keep-email"
LONG_AGO = "'2026-01-01 00:00:00.000000'"


@dataclass
class Owner:
    """Who is at the old address, is signed in, and may not agree."""

    client: Client
    mails: LinkMails
    admin: Admin
    id: str
    tokens: dict[str, Any]

    async def link(self) -> str:
        """Wait for the next mail with a link that stops the change, and return its token."""
        return await self.mails.token(OLD, PAGE)

    async def ask(self, email: str = NEW) -> httpx.Response:
        """Let the administrator ask for another address."""
        return await self.admin.call("POST", f"/{self.id}/email", json={"email": email})

    async def email(self) -> str:
        email: str = (await self.admin.show(self.id))["email"]
        return email


async def verified_owner(client: Client, mails: LinkMails, email: str = OLD) -> Owner:
    """Register somebody who verifies their address and signs in, beside an administrator."""
    admin = await Admin.of(client)
    user_id = (await client.register(email)).raise_for_status().json()["id"]
    assert (await client.verify_email(await mails.token(email, "verify-email"))).status_code == 204
    return Owner(client, mails, admin, user_id, await client.sign_in(email))


async def let_time_pass(url: str) -> None:
    """Move the pending changes, and the mails that told of them, into the past."""
    await run_sql(url, f"UPDATE pending_changes SET asked_at = {LONG_AGO}, effective_at = {LONG_AGO}")
