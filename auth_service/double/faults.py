"""What can go wrong between a client and a service, switched on for some requests."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_service.api.http.middleware.cors import Cors
from auth_service.api.http.problems import answer
from auth_service.database import wall_clock
from auth_service.errors import Unavailable
from auth_service.settings import Settings

ABORT = "auth_service.double.abort"  # in the scope of a request: hangs up at once


class Fault(BaseModel):
    """One fault. `route` is a method and a path, such as `POST /auth/refresh`; `times` is how often it happens, None
    for always; `share` is how many of the requests meet it, at random.

    `lose-request` hangs up before anything is done, `lose-answer` after all is done; `delay` and `delay-answer` wait
    for so many `seconds` before and after; `unavailable` is a 503 in place of the work, with `seconds` as
    `Retry-After`. With a `jump` the double's clock goes forward by so many seconds when the fault happens, as if the
    client had slept.
    """

    model_config = ConfigDict(extra="forbid")

    route: str = Field("POST /auth/refresh", pattern=r"^[A-Z]+ /")
    fault: Literal["lose-request", "lose-answer", "delay", "delay-answer", "unavailable"]
    times: int | None = Field(1, ge=0)
    share: float = Field(1, ge=0, le=1)
    seconds: float = Field(1, ge=0, le=3600)
    jump: float = Field(0, ge=0, le=31_536_000)


class Faults:
    """The service, with the faults that are switched on. `seed` decides which requests meet those of a `share`."""

    def __init__(self, app: ASGIApp, settings: Settings, seed: int) -> None:
        self._app = app
        self._settings = settings
        self._random = random.Random(seed)  # noqa: S311  # so that a run can be repeated
        self.switched_on: Sequence[Fault] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._next(scope) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._fail(fault, scope, receive, send)

    def _next(self, scope: Scope) -> Fault | None:
        route = f"{scope['method']} {scope['path']}"
        for fault in self.switched_on:
            if fault.route == route and fault.times != 0 and self._random.random() < fault.share:
                fault.times = fault.times and fault.times - 1
                return fault
        return None

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.fault == "lose-answer":
            await self._app(scope, receive, _lost)
        wall_clock.set_ahead(wall_clock.ahead() + timedelta(seconds=fault.jump))
        if fault.fault in {"lose-request", "lose-answer"}:
            await _hang_up(scope, receive)
        elif fault.fault == "unavailable":
            await self._refuse(fault, scope, receive, send)
        else:
            await self._wait(fault, scope, receive, send)

    async def _refuse(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """As the service itself would, for a page too, which could not read the pause otherwise."""
        base_url, cors = self._settings.base_url, self._settings.cors
        refused: Response = answer(Unavailable(), base_url, {"Retry-After": f"{fault.seconds:.0f}"})
        with_cookies = self._settings.cookies.enabled
        await Cors(refused, settings=cors, base_url=base_url, with_cookies=with_cookies)(scope, receive, send)

    async def _wait(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.fault == "delay":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
            return
        told: list[Message] = []

        async def keep(message: Message) -> None:
            told.append(message)

        await self._app(scope, receive, keep)
        await asyncio.sleep(fault.seconds)
        for message in told:
            await send(message)


async def _lost(_message: Message) -> None:
    """An answer that nobody gets."""


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection without an answer, and return when the server knows that it is closed."""
    scope[ABORT]()
    while (await receive())["type"] != "http.disconnect":
        pass
