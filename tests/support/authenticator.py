"""An authenticator app, and how an account gets it through the user's door."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Self

import pyotp

from .client import Client

STEP = 30  # seconds
ROOM = 2  # seconds that a request may take


@dataclass
class Authenticator:
    """An app that holds a secret, of the factor `id`; `tokens` and `recovery_codes` are what confirming it gave."""

    secret: str
    id: str = ""
    tokens: dict[str, Any] = field(default_factory=dict)
    recovery_codes: list[str] = field(default_factory=list)

    def code(self, steps: int = 0) -> str:
        """The code of now, or of so many steps later."""
        return self.code_at(steps * STEP)

    def code_at(self, seconds: float) -> str:
        """The code of a phone whose clock is so many seconds ahead."""
        return pyotp.TOTP(self.secret).at(time.time() + seconds)

    @staticmethod
    async def early_in_step() -> None:
        """Wait while the step is about to end: a code of the one before it would be too old a moment later."""
        left = STEP - time.time() % STEP
        if left < ROOM:
            await asyncio.sleep(left)

    def wrong_code(self) -> str:
        """Six digits that are the code of no step near now."""
        near = {self.code(steps) for steps in range(-2, 3)}
        return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555") if code not in near)

    @classmethod
    async def begin(cls, client: Client, access_token: str) -> Self:
        """Add it to the bearer's account, unconfirmed."""
        made = (await client.begin_totp(access_token)).raise_for_status().json()
        return cls(made["secret"], made["id"])

    @classmethod
    async def add(cls, client: Client, tokens: dict[str, Any]) -> Self:
        """Add it to the account of these tokens, confirmed by the code of the step before, so that of now is unused.

        Its `tokens` are those with which the owner goes on: new ones, if it is the first factor.
        """
        app = await cls.begin(client, tokens["access_token"])
        await cls.early_in_step()
        answer = await client.confirm_totp(tokens["access_token"], app.id, app.code(-1))
        told = answer.raise_for_status().json()
        app.recovery_codes = told.pop("recovery_codes")
        app.tokens = told or tokens
        return app
