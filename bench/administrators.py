"""What administrators do: search users, count them, and look at one."""

import random

import httpx

from bench.devices import Device
from tests.support.client import PASSWORD, Client, bearer
from tests.support.postgres import Cluster

EMAIL = "soak-admin@example.com"
SHARES = {"search for a part": 40, "search for an address": 20, "page of users": 20, "counts": 10, "show a user": 10}


def register(client: httpx.Client, cluster: Cluster, database: str) -> None:
    """Make the account of the administrator."""
    client.post("/auth/register", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
    cluster.execute(f"UPDATE users SET role = 'admin' WHERE email_canonical = '{EMAIL}'", database)


class Administrators:
    """Searches are for these addresses, and parts of them."""

    def __init__(self, client: Client, emails: list[str]) -> None:
        self._client = client
        self._emails = emails
        self._ids: list[str] = []
        self.does = {
            "search for a part": self._search, "search for an address": self._find, "page of users": self._page,
            "counts": self._count, "show a user": self._show,
        }  # fmt: skip

    async def _search(self, device: Device) -> int:
        email = random.choice(self._emails)
        start = random.randrange(len(email) - 5)
        return await self._list(device, q=email[start : start + 5])

    async def _find(self, device: Device) -> int:
        return await self._list(device, name=random.choice(self._emails))

    async def _page(self, device: Device) -> int:
        return await self._list(device, page=str(random.randint(1, 5)))

    async def _count(self, device: Device) -> int:
        return (await self._client.get("/admin/users/counts", headers=bearer(device.access_token))).status_code

    async def _show(self, device: Device) -> int:
        if not self._ids:
            return await self._page(device)
        path = f"/admin/users/{random.choice(self._ids)}"
        return (await self._client.get(path, headers=bearer(device.access_token))).status_code

    async def _list(self, device: Device, **query: str) -> int:
        answer = await self._client.get("/admin/users", params=query, headers=bearer(device.access_token))
        if answer.is_success:
            self._ids = [user["id"] for user in answer.json()["items"]] or self._ids
        return answer.status_code
