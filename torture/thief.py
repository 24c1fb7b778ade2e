"""A thief copies the tokens of some sessions, and the passwords and used codes of those who have a second factor; he
uses them when it suits him, also long after.
"""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from torture.apps import UsedCode
from torture.calls import Calls
from torture.wire import Access, Reply, Wire

PAUSE = (0.05, 0.5)  # seconds between two uses
FRESH_SHARE = 0.4  # of the uses are of what was copied last: within the grace, and before the owner's next refresh
MOST_COPIES = 300
PASSWORD_SHARE = 0.3  # of a thief's turns
LOOKS = 8  # at the list, before a follower loses patience


class Victim(Protocol):
    """What can be copied from a device."""

    session: str
    stolen: bool
    refresh_token: str
    access: Access


@dataclass(frozen=True)
class Copy:
    session: str
    refresh_token: str = field(repr=False)
    access: Access


@dataclass
class Account:
    """Of somebody who has a second factor, or will have: the number of the password, and the code used last."""

    email: str
    password: int
    used: UsedCode | None = None


class Loot:
    """What has been copied. The thief never learns an Idempotency-Key: that is the client's memory, not the token."""

    def __init__(self) -> None:
        self.copies: list[Copy] = []
        self.accounts: dict[str, Account] = {}

    def see(self, device: Victim, share: float, rng: Random) -> None:
        """Copy the tokens of a device now and then, if it is one of those that are watched."""
        if device.stolen and rng.random() < share:
            self.copies.append(Copy(device.session, device.refresh_token, device.access))
            del self.copies[:-MOST_COPIES]


class Thief:
    def __init__(self, name: str, wire: Wire, loot: Loot, rng: Random) -> None:
        self._name, self._wire, self._loot, self._rng = name, wire, loot, rng

    async def live(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self._loot.accounts and self._rng.random() < PASSWORD_SHARE:
                await self._sign_in(self._rng.choice(list(self._loot.accounts)))
            elif self._loot.copies:
                await self._use(self._choose())
            await asyncio.sleep(self._rng.uniform(*PAUSE))

    async def _sign_in(self, user: str) -> None:
        """With the password, and where that is not enough with a code that its owner has used."""
        account, calls = self._loot.accounts[user], Calls(self._name, user)
        used, reply = account.used, await self._wire.once(calls.login(account.email, account.password))
        if used and "challenge" in reply.body:
            reply = await self._wire.once(calls.second_step(reply.body["challenge"], used.code, used.step))
        if reply.attempt.accepted:
            self._take(str(reply.attempt.session), reply)

    def _choose(self) -> Copy:
        fresh = self._rng.random() < FRESH_SHARE
        return self._loot.copies[-1] if fresh else self._rng.choice(self._loot.copies)

    async def _use(self, copy: Copy) -> None:
        """Refresh, or look around with the access token; what is gained is used later like what was copied."""
        calls = Calls(self._name, "?")
        if self._rng.random() < 0.3:
            await self._wire.once(calls.me(copy.session, copy.access))
            return
        reply = await self._wire.once(calls.refresh(copy.session, copy.refresh_token, None))
        if reply.attempt.accepted:
            self._take(copy.session, reply)

    def _take(self, session: str, reply: Reply) -> None:
        body = reply.body
        self._loot.copies.append(Copy(session, body["refresh_token"], Access.read(body["access_token"])))


class Follower:
    """A thief elsewhere, who watches the list of sessions and brings the spent token as soon as it moves.

    Now and then he does so without a sign, a moment after he copied: he may know the rhythm of his victim.
    """

    def __init__(self, name: str, wire: Wire, loot: Loot, rng: Random) -> None:
        self._name, self._wire, self._loot, self._rng = name, wire, loot, rng

    async def live(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self._loot.copies:
                await self._follow(self._loot.copies[-1], stop)
            await asyncio.sleep(self._rng.uniform(*PAUSE))

    async def _follow(self, copy: Copy, stop: asyncio.Event) -> None:
        calls, patience = Calls(self._name, "?"), self._rng.randint(1, LOOKS)
        before: str | None = None
        for _ in range(patience):
            seen = (await self._wire.once(calls.sessions(copy.session, copy.access))).attempt
            told = dict(zip(seen.listed or (), seen.shown or (), strict=True)).get(copy.session)
            if stop.is_set() or (before and told and told != before):
                break
            before = told or before
            await asyncio.sleep(self._rng.uniform(*PAUSE))
        await self._wire.once(calls.refresh(copy.session, copy.refresh_token, None))
