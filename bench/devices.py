"""Devices of people, as the benchmarks' own clients keep them, and what anybody does on them."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.client import Client

FRESH = 240.0  # seconds that an access token is used for


@dataclass
class Device:
    """Somebody's, signed in or about to be."""

    email: str
    refresh_token: str = ""
    access_token: str = ""
    signed_in_at: float = 0.0

    @property
    def is_fresh(self) -> bool:
        return bool(self.access_token) and time.monotonic() < self.signed_in_at + FRESH

    def take(self, tokens: dict[str, Any]) -> None:
        """Keep what a login or a refresh gave."""
        self.refresh_token, self.access_token = tokens["refresh_token"], tokens["access_token"]
        self.signed_in_at = time.monotonic()

    def take_from(self, answer: httpx.Response) -> int:
        """Keep what an answer gave, if it did; return its status."""
        if answer.is_success:
            self.take(answer.json())
        return answer.status_code

    async def log_in(self, client: Client) -> int:
        """As somebody who comes back; what was signed in there stays so until it expires."""
        return self.take_from(await client.login(self.email))

    async def refresh(self, client: Client) -> int:
        return self.take_from(await client.refresh(self.refresh_token))

    async def log_out(self, client: Client) -> int:
        token, self.refresh_token = self.refresh_token, ""
        return (await client.logout(token)).status_code
