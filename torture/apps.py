"""The authenticator app of an owner, its recovery codes, and what is done with them: a code is good once."""

import asyncio
import time
from dataclasses import dataclass, field
from random import Random

import pyotp

from torture.calls import Calls
from torture.history import STEP
from torture.wire import Access, Reply, Wire

TWICE_SHARE = 0.3  # of the second steps are sent twice at once


@dataclass(frozen=True)
class UsedCode:
    """A code that was sent, and the step that it is of; a recovery code is of none."""

    code: str
    step: int | None


@dataclass
class App:
    secret: str = field(repr=False)
    recovery_codes: list[str] = field(default_factory=list, repr=False)
    last_step: int = 0

    @property
    def has_code(self) -> bool:
        """Whether there is a code now that was not sent yet."""
        return bool(self.recovery_codes) or self._next_step() <= _step_of_now() + 1

    async def next_code(self) -> UsedCode:
        """A code that was never sent: of now, of the step after it, which is good too, or a recovery code; else the
        next step is waited for.
        """
        if not self.has_code:
            await asyncio.sleep((self._next_step() - 1) * STEP - time.time())
        if self._next_step() > _step_of_now() + 1:
            return UsedCode(self.recovery_codes.pop(), None)
        self.last_step = self._next_step()
        return UsedCode(pyotp.HOTP(self.secret).at(self.last_step), self.last_step)

    def _next_step(self) -> int:
        return max(self.last_step + 1, _step_of_now())


def _step_of_now() -> int:
    return int(time.time()) // STEP


class SecondFactor:
    """What one owner does. There is an `app` from when its confirmation may have been done; `used` is the code that was
    accepted last.
    """

    def __init__(self, wire: Wire, calls: Calls, rng: Random) -> None:
        self._wire, self._calls, self._rng = wire, calls, rng
        self.app: App | None = None
        self.used: UsedCode | None = None
        self._is_certain = False

    @property
    def has_to_wait(self) -> bool:
        """Whether a sign-in has no code until the next step."""
        return self.app is not None and not self.app.has_code

    async def add(self, session: str, access: Access) -> Reply:
        """Add an app and confirm it. If no answer comes to that, the next sign-in tells whether it was done."""
        made = await self._wire.until_answered(self._calls.add_factor(session, access))
        if not made.attempt.accepted:
            return made
        app = App(made.body["secret"])
        used = await app.next_code()
        call = self._calls.confirm_factor(session, access, made.body["id"], used.code, used.step or 0)
        first = await self._wire.once(call)
        reply = first if not first.attempt.unknown else await self._wire.until_answered(call)
        if reply.attempt.accepted:
            app.recovery_codes, self._is_certain = list(reply.body["recovery_codes"]), True
        self.app = None if first.attempt.refused else app
        return reply

    def was_not_asked_for(self) -> None:
        """The password alone was enough: there is no app unless its confirmation was acknowledged."""
        if not self._is_certain:
            self.app = None

    async def answer(self, challenge: str) -> Reply:
        """Give a code, now and then twice at once. If no answer comes both may be used up: the sign-in begins anew."""
        assert self.app, "the service asks for a factor that was never added"
        used = await self.app.next_code()
        call = self._calls.second_step(challenge, used.code, used.step)
        times = 2 if self._rng.random() < TWICE_SHARE else 1
        replies = await asyncio.gather(*(self._wire.until_answered(call) for _ in range(times)))
        accepted = next((reply for reply in replies if reply.attempt.accepted), None)
        if accepted:
            self.used = used
        return accepted or replies[0]

    async def renew_recovery_codes(self, session: str, access: Access) -> Reply:
        """Get new ones once all are used; before that, look at the account."""
        assert self.app
        if self.app.recovery_codes:
            return await self._wire.until_answered(self._calls.me(session, access))
        reply = await self._wire.until_answered(self._calls.recovery_codes(session, access))
        self.app.recovery_codes = list(reply.body.get("recovery_codes", ()))
        return reply
