"""Everything that people do, at a steady rate: refreshes, logins, second factors, mistakes, and administration."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from bench import administrators, factor_owners
from bench.administrators import Administrators
from bench.devices import Device
from bench.factor_owners import FactorOwners, Owner
from tests.support.client import Client, bearer

INTERNAL_TOKEN = "internal-token-of-the-benchmarks"
DEVICES = 60
ACCOUNTS = 20
OWNERS = 20
# Of what users do. So few mistakes and registrations that one address is not made to wait for them.
SHARES = {
    "refresh": 390, "verify": 250, "me": 160, "list of sessions": 40, "introspection": 20, "log in anew": 20,
    "logout": 15, "wrong password": 3, "registration": 1,
}  # fmt: skip
WEIGHTS = (90, 8, 2)  # of users, owners of second factors and administrators
ALONE = frozenset({"refresh", "log in anew", "logout", "wrong password", "registration"})  # need no access token
STATUSES = {
    "wrong password": {401, 429}, "registration": {201, 429}, "logout": {204}, "wrong code": {401, 429},
    "app removed": {200, 204}, "new passkey": {204}, "first app": {204},
}  # fmt: skip
GRANTED = frozenset({200})
_INSIDE = {"X-Internal-Token": INTERNAL_TOKEN}


@dataclass
class Group:
    """People of one kind: who has nothing to do, what they do and how often."""

    idle: list[Any]
    does: Mapping[str, Callable[[Any], Awaitable[int]]]
    shares: Mapping[str, int]

    def choose(self) -> str:
        return random.choices(list(self.shares), list(self.shares.values()))[0]

    def take(self) -> Any:
        return self.idle.pop(random.randrange(len(self.idle)))


class Mixture:
    """A device does one thing at a time."""

    def __init__(self, client: Client, rate: float) -> None:
        self._client = client
        self._rate = rate
        self._emails = itertools.count()
        self._factors = FactorOwners(client)
        self._users = Group(
            [Device(f"soak{number % ACCOUNTS}@example.com") for number in range(DEVICES)],
            {
                "refresh": self._refresh, "verify": self._verify, "me": self._me, "list of sessions": self._list,
                "introspection": self._introspect, "log in anew": self._log_in, "logout": self._log_out,
                "wrong password": self._mistake, "registration": self._register,
            },
            SHARES,
        )  # fmt: skip
        owners = [Owner(f"soak-owner{number}@example.com") for number in range(OWNERS)]
        self._owners = Group(owners, self._factors.does, factor_owners.SHARES)
        administrator = Administrators(client, [one.email for one in (*self._users.idle, *owners)])
        self._administrators = Group([Device(administrators.EMAIL)], administrator.does, administrators.SHARES)
        self._groups = (self._users, self._owners, self._administrators)
        self._answers: Counter[tuple[str, int]] = Counter()
        self.unexpected: list[str] = []

    async def sign_in(self) -> None:
        """Make the accounts, but for the administrator's, and open a session on each device."""
        for number in range(ACCOUNTS):
            (await self._client.register(f"soak{number}@example.com")).raise_for_status()
        for owner in self._owners.idle:
            await self._factors.enrol(owner)
        for device in (*self._users.idle, *self._administrators.idle):
            await device.log_in(self._client)

    async def run(self, stop: asyncio.Event) -> None:
        """Do things at the rate until the event is set. Without an idle device one is left out."""
        clock = asyncio.get_running_loop().time
        due = clock()
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                due = max(due + 1 / self._rate, clock() - 1)
                await asyncio.sleep(due - clock())
                (group,) = random.choices(self._groups, WEIGHTS)
                if group.idle:
                    tasks.create_task(self._act(group, group.take()))

    async def metrics(self) -> str:
        """Return what `/metrics` says."""
        return (await self._client.get("/metrics", headers=_INSIDE)).raise_for_status().text

    def told(self) -> dict[str, int]:
        """How often each was answered, and how."""
        return {f"{what} {status}": count for (what, status), count in sorted(self._answers.items())}

    async def _act(self, group: Group, device: Device) -> None:
        what = group.choose()
        try:
            what, does = self._possible(group, device, what)
            status = await does(device)
        except httpx.HTTPStatusError as error:
            self._refused(device, f"{what}: {error.request.url.path} {error.response.status_code}")
        except httpx.HTTPError as error:
            self._refused(device, f"{what}: {type(error).__name__}")
        else:
            self._answers[what, status] += 1
            if status not in STATUSES.get(what, GRANTED):
                self.unexpected.append(f"{what}: {status}")
        group.idle.append(device)

    def _refused(self, device: Device, what: str) -> None:
        self.unexpected.append(what)
        device.refresh_token = ""

    def _possible(self, group: Group, device: Device, what: str) -> tuple[str, Callable[[Any], Awaitable[int]]]:
        """What was chosen, or what has to come first."""
        if not device.refresh_token:
            return "log in anew", self._factors.log_in if group is self._owners else self._log_in
        if what not in ALONE and not device.is_fresh:
            return "refresh", self._refresh
        return what, group.does[what]

    async def _log_in(self, device: Device) -> int:
        return await device.log_in(self._client)

    async def _refresh(self, device: Device) -> int:
        return await device.refresh(self._client)

    async def _log_out(self, device: Device) -> int:
        return await device.log_out(self._client)

    async def _verify(self, device: Device) -> int:
        headers = {**bearer(device.access_token), **_INSIDE}
        return (await self._client.get("/internal/verify", headers=headers)).status_code

    async def _introspect(self, device: Device) -> int:
        body = {"token": device.access_token}
        return (await self._client.post("/internal/introspect", data=body, headers=_INSIDE)).status_code

    async def _me(self, device: Device) -> int:
        return (await self._client.me(device.access_token)).status_code

    async def _list(self, device: Device) -> int:
        return (await self._client.get("/auth/sessions", headers=bearer(device.access_token))).status_code

    async def _mistake(self, device: Device) -> int:
        """A wrong password, or a wrong address."""
        email = random.choice((device.email, f"soaked{next(self._emails)}@example.com"))
        return (await self._client.login(email, "not the password of anybody")).status_code

    async def _register(self, _device: Device) -> int:
        return (await self._client.register(f"soaked{next(self._emails)}@example.net")).status_code
