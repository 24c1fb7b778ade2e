"""An administrator who is signed in, and what they do."""

from typing import Any
from uuid import UUID

import httpx

from auth_service.models import Role

from .client import Client

EMAIL = "root@example.com"


class Admin:
    """Calls `/admin/users` as somebody: `of` makes the first administrator of a service."""

    def __init__(self, client: Client, user_id: str, tokens: dict[str, Any]) -> None:
        self.client = client
        self.id = user_id
        self.tokens = tokens

    @classmethod
    async def of(cls, client: Client, email: str = EMAIL) -> "Admin":
        user_id = (await client.register(email)).raise_for_status().json()["id"]
        await promote(client, user_id)
        return cls(client, user_id, await client.sign_in(email))

    async def call(self, method: str, path: str = "", **arguments: Any) -> httpx.Response:
        """A request to a path below `/admin/users`."""
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        return await self.client.request(method, f"/admin/users{path}", headers=headers, **arguments)

    async def page(self, **query: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self.call("GET", params=query)).raise_for_status().json()
        return found

    async def emails(self, **query: Any) -> list[str]:
        return [item["email"] for item in (await self.page(**query))["items"]]

    async def show(self, user_id: str, **query: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self.call("GET", f"/{user_id}", params=query)).raise_for_status().json()
        return found


async def promote(client: Client, user_id: str, role: Role = Role.ADMIN) -> None:
    """What `auth-service users set-role` does, in this process: a database in memory has no other."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    app: Any = transport.app
    await app.state.services.administration.set_role(UUID(user_id), role)
