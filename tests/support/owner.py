"""An account that an administrator changes, and the time that passes until that takes effect."""

from dataclasses import dataclass
from typing import Any

import httpx

from .admins import Admin
from .authenticator import Authenticator
from .client import Client
from .link_mails import LinkMails
from .polling import eventually
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


@dataclass
class FactorOwner(Owner):
    """The same with an app, the code of now unused, whose loss an administrator is told."""

    app: Authenticator

    async def link(self) -> str:
        return await self.mails.token(OLD, "keep-factors")

    async def ask_reset(self, admin: Admin | None = None) -> httpx.Response:
        """Let an administrator ask for a reset of the factors."""
        return await (admin or self.admin).call("POST", f"/{self.id}/factors/reset")

    async def becomes_due(self, url: str) -> str:
        """Let the delay of a reset pass, after its mail has left; return the token of the link in that."""
        token = await self.link()
        await eventually_none_waits(url)
        await let_time_pass(url)
        return token

    async def sign_in(self, steps: int = 0) -> httpx.Response:
        """By password and code."""
        return await self.client.second_factor(await self.client.challenge(OLD), self.app.code(steps))


async def owner_of_factor(client: Client, mails: LinkMails) -> FactorOwner:
    """As `verified_owner()`, who has added an app and been told so."""
    owner = await verified_owner(client, mails)
    app = await Authenticator.add(client, owner.tokens)
    await mails.notice(OLD)
    return FactorOwner(client, mails, owner.admin, owner.id, app.tokens, app)


async def eventually_none_waits(url: str) -> None:
    """Wait until every mail has left."""

    async def no_mail_waits() -> bool:
        return not await run_sql(url, "SELECT 1 FROM outgoing_mails")

    await eventually(no_mail_waits)


async def let_time_pass(url: str) -> None:
    """Move the pending changes, and the mails that told of them, into the past."""
    await run_sql(url, f"UPDATE pending_changes SET asked_at = {LONG_AGO}, effective_at = {LONG_AGO}")
