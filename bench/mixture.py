"""Everything that people do, at a steady rate: refreshes, questions, logins, logouts, mistakes and registrations."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from tests.support.client import Client

INTERNAL_TOKEN = "internal-token-of-the-benchmarks"
DEVICES = 60
ACCOUNTS = 20
# Of a thousand requests. So few mistakes and registrations that one address is not made to wait for them.
SHARES = {
    "refresh": 450, "verify": 280, "me": 190, "list of sessions": 40, "log in anew": 20, "logout": 15,
    "wrong password": 4, "registration": 1,
}  # fmt: skip
FRESH = 240.0  # seconds that an access token is used for
STATUSES = {"wrong password": {401, 429}, "registration": {201, 429}, "logout": {204}}
GRANTED = frozenset({200})


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

    def take(self, tokens: dict[str, str]) -> None:
        """Keep what a login or a refresh gave."""
        self.refresh_token, self.access_token = tokens["refresh_token"], tokens["access_token"]
        self.signed_in_at = time.monotonic()


class Mixture:
    """A device does one thing at a time."""

    def __init__(self, client: Client, rate: float) -> None:
        self._client = client
        self._rate = rate
        self._emails = itertools.count()
        self._idle = [Device(f"soak{number % ACCOUNTS}@example.com") for number in range(DEVICES)]
        self._does: dict[str, Callable[[Device], Awaitable[int]]] = {
            "refresh": self._refresh, "verify": self._verify, "me": self._me, "list of sessions": self._list,
            "log in anew": self._log_in, "logout": self._log_out, "wrong password": self._mistake,
            "registration": self._register,
        }  # fmt: skip
        self._answers: Counter[tuple[str, int]] = Counter()
        self.unexpected: list[str] = []

    async def sign_in(self) -> None:
        """Make the accounts, and open a session on each device."""
        for number in range(ACCOUNTS):
            (await self._client.register(f"soak{number}@example.com")).raise_for_status()
        for device in self._idle:
            await self._log_in(device)

    async def run(self, stop: asyncio.Event) -> None:
        """Send requests at the rate until the event is set. Without an idle device one is left out."""
        clock = asyncio.get_running_loop().time
        due = clock()
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                due = max(due + 1 / self._rate, clock() - 1)
                await asyncio.sleep(due - clock())
                if self._idle:
                    tasks.create_task(self._act(self._idle.pop(random.randrange(len(self._idle)))))

    async def metrics(self) -> str:
        """Return what `/metrics` says."""
        return (await self._client.get("/metrics", headers=_INSIDE)).raise_for_status().text

    def told(self) -> dict[str, int]:
        """How often each was answered, and how."""
        return {f"{what} {status}": count for (what, status), count in sorted(self._answers.items())}

    async def _act(self, device: Device) -> None:
        what = self._choose(device)
        try:
            status = await self._does[what](device)
        except httpx.HTTPError as error:
            self.unexpected.append(f"{what}: {type(error).__name__}")
            device.refresh_token = ""
        else:
            self._answers[what, status] += 1
            if status not in STATUSES.get(what, GRANTED):
                self.unexpected.append(f"{what}: {status}")
        self._idle.append(device)

    @staticmethod
    def _choose(device: Device) -> str:
        if not device.refresh_token:
            return "log in anew"
        what = random.choices(list(SHARES), list(SHARES.values()))[0]
        return "refresh" if what in {"verify", "me", "list of sessions"} and not device.is_fresh else what

    async def _log_in(self, device: Device) -> int:
        """As somebody who comes back; what was signed in there stays so until it expires."""
        answer = await self._client.login(device.email)
        if answer.is_success:
            device.take(answer.json())
        return answer.status_code

    async def _refresh(self, device: Device) -> int:
        answer = await self._client.refresh(device.refresh_token)
        if answer.is_success:
            device.take(answer.json())
        return answer.status_code

    async def _log_out(self, device: Device) -> int:
        token, device.refresh_token = device.refresh_token, ""
        return (await self._client.logout(token)).status_code

    async def _verify(self, device: Device) -> int:
        headers = {"Authorization": f"Bearer {device.access_token}", **_INSIDE}
        return (await self._client.get("/internal/verify", headers=headers)).status_code

    async def _me(self, device: Device) -> int:
        return (await self._client.me(device.access_token)).status_code

    async def _list(self, device: Device) -> int:
        headers = {"Authorization": f"Bearer {device.access_token}"}
        return (await self._client.get("/auth/sessions", headers=headers)).status_code

    async def _mistake(self, device: Device) -> int:
        """A wrong password, or a wrong address."""
        email = random.choice((device.email, f"soaked{next(self._emails)}@example.com"))
        return (await self._client.login(email, "not the password of anybody")).status_code

    async def _register(self, _device: Device) -> int:
        return (await self._client.register(f"soaked{next(self._emails)}@example.net")).status_code


_INSIDE = {"X-Internal-Token": INTERNAL_TOKEN}
