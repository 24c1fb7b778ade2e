"""Honest people with several devices, who follow the client's protocol exactly."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from torture.apps import SecondFactor
from torture.calls import Calls
from torture.probes import Probes
from torture.staff import Operator
from torture.thief import Account, Loot
from torture.wire import Access, Reply, Wire

MOST_DEVICES = 4
PARALLEL = 5  # tabs that wake up at the same moment
TURNS = (1, 2, 3, 10)  # how often one tab refreshes before another does; the last is a page that is reloaded
STOLEN_SHARE = 0.2  # of all sessions; the others prove that nobody is signed out without a reason
COPIED_SHARE = 0.3  # of the tokens of such a session


@dataclass
class Device:
    """A session as its client holds it: the last tokens that it received, and the key for the next refresh."""

    session: str
    stolen: bool
    refresh_token: str = field(repr=False)
    access: Access
    key: str | None = field(default=None, repr=False)


class Owner:
    """One user. Everything happens in one task, so that what the user has asked for is known at any time."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        operator: Operator,
        loot: Loot,
        rng: Random,
        *,
        keys: bool,
        adds_factor: bool,
    ) -> None:
        self._name, self._email = name, f"{name}@example.com"
        self._calls = Calls(name, name)
        self._wire, self._operator, self._loot, self._rng, self._keys = wire, operator, loot, rng, keys
        self._probes = Probes(wire, rng)
        self._devices: list[Device] = []
        self._password = self._newest = 0
        self._perhaps: int | None = None  # a password that was set if a request did its work whose answer never came
        self._factor = SecondFactor(wire, self._calls, rng)
        self._known = Account(self._email, self._password)  # to a thief, if an app will be added
        self._weights: dict[Callable[[Device], Coroutine[Any, Any, None]], int] = {
            self._refresh: 40, self._refresh_parallel: 16, self._second_tab: 10, self._look: 14, self._list: 10,
            self._log_out: 6, self._change_password: 3, self._be_disabled: 2,
        }  # fmt: skip
        if adds_factor:
            self._weights[self._add_factor] = 3
            loot.accounts[name] = self._known

    async def live(self, stop: asyncio.Event) -> None:
        """Register, then do one thing after another until told to stop; then use every session once more."""
        await self._wire.until_answered(self._calls.register(self._email, self._password))
        while not stop.is_set():
            await self._act()
            await asyncio.sleep(self._rng.uniform(0, 0.2))
        for device in list(self._devices):
            await self._refresh(device)
        for device in list(self._devices):
            await self._look(device)
        await self._sign_in()
        await self._probes.finish()

    async def _act(self) -> None:
        may_sign_in = len(self._devices) < MOST_DEVICES and not self._factor.has_to_wait
        if not self._devices or (may_sign_in and self._rng.random() < 0.1):
            await self._sign_in()
        else:
            (action,) = self._rng.choices(list(self._weights), list(self._weights.values()))
            await action(self._rng.choice(self._devices))

    async def _sign_in(self) -> None:
        reply = await self._wire.until_answered(self._calls.login(self._email, self._password))
        if reply.attempt.code == "invalid-credentials" and self._perhaps is not None:
            self._password = self._known.password = self._perhaps
            self._perhaps = None
            reply = await self._wire.until_answered(self._calls.login(self._email, self._password))
        if reply.attempt.accepted:
            self._factor.was_not_asked_for()
        if "challenge" in reply.body:
            self._perhaps = None
            reply = await self._factor.answer(reply.body["challenge"])
            self._known.used = self._factor.used
        if reply.attempt.accepted:
            self._perhaps = None
            self._enter(reply)
        else:
            await asyncio.sleep(0.5)  # the checker tells whether it should have worked

    async def _add_factor(self, device: Device) -> None:
        """Add an app, whose first code ends all sessions and opens a new one; or get new recovery codes for it."""
        if self._factor.app:
            reply = await self._factor.renew_recovery_codes(device.session, device.access)
            return None if reply.attempt.accepted else await self._refresh(device)
        reply = await self._factor.add(device.session, device.access)
        if not reply.attempt.accepted:
            return await self._refresh(device)
        return self._begin_anew(reply)

    def _begin_anew(self, reply: Reply) -> None:
        """All sessions have ended, and one was opened."""
        for each in list(self._devices):
            self._bury(each)
        self._enter(reply)

    def _enter(self, reply: Reply) -> None:
        stolen = self._rng.random() < STOLEN_SHARE
        access = Access.read(reply.body["access_token"])
        device = Device(reply.body["session_id"], stolen, reply.body["refresh_token"], access, self._new_key())
        self._devices.append(device)
        self._loot.see(device, COPIED_SHARE, self._rng)

    async def _refresh(self, device: Device, times: int = 1) -> None:
        """Exchange the token, in several tabs at once if asked to; all of them use the token's one key."""
        call = self._calls.refresh(device.session, device.refresh_token, device.key)
        replies = await asyncio.gather(*(self._wire.until_answered(call) for _ in range(times)))
        received = [reply for reply in replies if reply.attempt.accepted]
        if len(received) < len(replies):
            self._devices.remove(device)
        if received:
            self._receive(device, received[0])

    async def _refresh_parallel(self, device: Device) -> None:
        await self._refresh(device, PARALLEL)

    async def _second_tab(self, device: Device) -> None:
        """A tab that wakes up when the other has gone on: it still has an older token, and both share what it gets.

        An outage in between may make it late; then its token is spent for longer than the grace, as the checker knows.
        """
        held = device.refresh_token
        for _ in range(self._rng.choice(TURNS)):
            if device in self._devices:
                await self._refresh(device)
        await asyncio.sleep(self._rng.uniform(0, 1))
        if device not in self._devices:
            return
        calls = Calls(self._name.replace("owner", "tab"), self._name)
        reply = await self._wire.until_answered(calls.refresh(device.session, held, self._new_key()))
        if reply.attempt.accepted:
            self._receive(device, reply)
        else:
            self._devices.remove(device)

    def _receive(self, device: Device, reply: Reply) -> None:
        device.refresh_token = reply.body["refresh_token"]
        device.access = Access.read(reply.body["access_token"])
        device.key = self._new_key()
        self._loot.see(device, COPIED_SHARE, self._rng)

    def _new_key(self) -> str | None:
        return f"{self._rng.getrandbits(128):032x}" if self._keys else None

    async def _look(self, device: Device) -> None:
        await self._wire.until_answered(self._calls.me(device.session, device.access))

    async def _list(self, device: Device) -> None:
        await self._wire.until_answered(self._calls.sessions(device.session, device.access))

    async def _log_out(self, device: Device) -> None:
        await self._wire.until_answered(self._calls.logout(device.session, device.refresh_token))
        self._bury(device)

    async def _change_password(self, device: Device) -> None:
        """All sessions end, this one too, and a new one is opened. A lost answer leaves two possible passwords."""
        old, self._newest = self._password, self._newest + 1
        call = self._calls.password(device.session, device.access, old, self._newest)
        first = await self._wire.once(call)
        reply = first if not first.attempt.unknown else await self._wire.until_answered(call)
        if not reply.attempt.accepted:
            self._perhaps = self._newest if first.attempt.unknown else self._perhaps
            return await self._refresh(device)  # the access token is too old, or the session has ended
        self._password = self._known.password = self._newest
        self._perhaps = None
        self._begin_anew(reply)
        self._probes.old_password(self._calls, self._email, old)
        return None

    async def _be_disabled(self, _device: Device) -> None:
        """The operator disables the account and enables it again; not a session comes back."""
        await self._operator.set_active(self._name, self._email, active=False)
        for device in list(self._devices):
            self._bury(device)
        await asyncio.sleep(self._rng.uniform(0, 0.5))
        await self._wire.once(self._calls.login(self._email, self._password))
        await self._operator.set_active(self._name, self._email, active=True)

    def _bury(self, device: Device) -> None:
        """The device's session has ended: see whether it stays so."""
        self._devices.remove(device)
        self._probes.after_the_end(self._calls, device.session, device.refresh_token, device.access)
