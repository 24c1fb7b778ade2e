"""A steady load of refreshes over HTTP: signed-in clients that follow the protocol, at a fixed rate."""

import asyncio
from dataclasses import dataclass, field

import httpx

from tests.support.client import Client

USERS = 10
SESSIONS_PER_USER = 4


@dataclass
class Sample:
    """What one stretch of load saw: the seconds that each refresh took, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def percentile(self, percent: float) -> float:
        """The nearest-rank percentile, in milliseconds."""
        ranked = sorted(self.seconds)
        rank = max(0, -int(-len(ranked) * percent // 100) - 1)
        return round(ranked[rank] * 1000, 2)

    def __add__(self, other: "Sample") -> "Sample":
        return Sample(self.seconds + other.seconds, self.failures + other.failures)


class RefreshLoad:
    """Sessions of several users, each refreshed with its newest token in turn, `rate` times a second altogether."""

    def __init__(self, client: Client, tokens: list[str], rate: float) -> None:
        self._client = client
        self._tokens = tokens
        self._rate = rate

    @classmethod
    async def sign_in(cls, client: Client, rate: float) -> "RefreshLoad":
        """Register the users and open their sessions."""
        tokens = []
        for number in range(USERS):
            email = f"load{number}@example.com"
            (await client.register(email)).raise_for_status()
            tokens += [(await client.sign_in(email))["refresh_token"] for _ in range(SESSIONS_PER_USER)]
        return cls(client, tokens, rate)

    async def run(self, stop: asyncio.Event) -> Sample:
        """Refresh at the fixed rate until the event is set."""
        sample = Sample()
        async with asyncio.TaskGroup() as tasks:
            for number in range(len(self._tokens)):
                tasks.create_task(self._drive(number, stop, sample))
        return sample

    async def _drive(self, number: int, stop: asyncio.Event, sample: Sample) -> None:
        """Refresh one session. Time counts from when a refresh was due: a stall is seen by all who wait in it."""
        clock = asyncio.get_running_loop().time
        due = clock() + number / self._rate
        while not stop.is_set():
            await asyncio.sleep(due - clock())
            failure = await self._refresh(number)
            sample.seconds.append(clock() - due)
            if failure:
                sample.failures.append(failure)
            due += len(self._tokens) / self._rate

    async def _refresh(self, number: int) -> str | None:
        try:
            answer = await self._client.refresh(self._tokens[number])
        except httpx.HTTPError as error:
            return type(error).__name__
        if answer.status_code != httpx.codes.OK:
            return f"{answer.status_code} {answer.json()['code']}"
        self._tokens[number] = answer.json()["refresh_token"]
        return None
