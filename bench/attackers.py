"""A flood of logins at a fixed rate, in a process of its own so that it does not slow down who measures beside it.

The loop is open: each login is sent when it is due, whether or not those before it were answered. Connections are kept
alive and used again, as by a gateway before the service.
"""

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import uvloop

from tests.support.client import PASSWORD

HEAD = b"POST /auth/login HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
MAX_CONNECTIONS = 2000
PATIENCE = 30.0  # seconds for one answer
# Of a hundred logins so many are of accounts that do not exist, and with a wrong password; the others are right.
UNKNOWN, WRONG = 80, 15


@dataclass
class Outcome:
    """What the logins were answered: seconds by status, and what got no answer by its reason."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)
    without_retry_after: int = 0
    longest_lateness: float = 0.0

    def report(self) -> dict[str, Any]:
        """Counts, and milliseconds by status."""
        return {
            "logins": sum(map(len, self.seconds.values())) + sum(self.unanswered.values()),
            **{status: times(found) for status, found in sorted(self.seconds.items())},
            "unanswered": dict(self.unanswered),
            "503_without_retry_after": self.without_retry_after,
            "latest_ms": round(self.longest_lateness * 1000),
        }


def times(seconds: list[float]) -> dict[str, float]:
    """How many, and their median, 99th percentile and maximum in milliseconds."""
    ranked = sorted(seconds)
    found = {"p50_ms": ranked[len(ranked) // 2], "p99_ms": ranked[len(ranked) * 99 // 100], "max_ms": ranked[-1]}
    return {"count": len(ranked), **{name: round(value * 1000, 1) for name, value in found.items()}}


class Flood:
    """`count` logins, `rate` a second, of strangers and of the given accounts."""

    def __init__(self, port: int, rate: float, count: int, emails: list[str], seed: int) -> None:
        self._port = port
        self._rate = rate
        self._count = count
        self._emails = emails
        self._random = random.Random(seed)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._open = 0
        self.outcome = Outcome()

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        start = clock()
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._count):
                due = start + number / self._rate
                if due > clock():
                    await asyncio.sleep(due - clock())
                self.outcome.longest_lateness = max(self.outcome.longest_lateness, clock() - due)
                tasks.create_task(self._log_in(self._body(number)))
            print("sent", flush=True)
        for _, writer in self._idle:
            writer.close()

    def _body(self, number: int) -> bytes:
        kind = self._random.randrange(100)
        email = f"stranger{number}@example.com" if kind < UNKNOWN else self._random.choice(self._emails)
        password = PASSWORD if kind >= UNKNOWN + WRONG else f"a password that is wrong {number}"
        return json.dumps({"email": email, "password": password}).encode()

    async def _log_in(self, body: bytes) -> None:
        if not self._idle and self._open >= MAX_CONNECTIONS:
            self.outcome.unanswered["not sent"] += 1
            return
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(PATIENCE):
                status = await self._exchange(body)
        except (OSError, EOFError, TimeoutError) as error:
            self.outcome.unanswered[type(error).__name__] += 1
        else:
            self.outcome.seconds.setdefault(status, []).append(clock() - started)

    async def _exchange(self, body: bytes) -> str:
        reader, writer = self._idle.pop() if self._idle else await self._connect()
        try:
            writer.write(HEAD % len(body) + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            headers = dict(line.split(": ", 1) for line in lines.splitlines()[1:] if line)
            await reader.readexactly(int(headers["content-length"]))
        except BaseException:
            self._open -= 1
            writer.close()
            raise
        self._idle.append((reader, writer))
        status = lines.split(" ", 2)[1]
        self.outcome.without_retry_after += status == "503" and not headers.get("retry-after", "").isdigit()
        return status

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._open += 1
        try:
            return await asyncio.open_connection("127.0.0.1", self._port)
        except BaseException:
            self._open -= 1
            raise


def start(port: int, rate: float, count: int, emails: list[str], seed: int = 1) -> "subprocess.Popen[str]":
    """Start the flood as a process."""
    arguments = json.dumps([port, rate, count, emails, seed])
    return subprocess.Popen([sys.executable, "-m", "bench.attackers", arguments], stdout=subprocess.PIPE, text=True)


def wait_sent(flood: "subprocess.Popen[str]") -> None:
    """Wait until the last login has been sent."""
    assert flood.stdout is not None
    flood.stdout.readline()


def finish(flood: "subprocess.Popen[str]") -> Outcome:
    """Wait until all is answered and return what was."""
    return Outcome(**json.loads(flood.communicate(timeout=PATIENCE * 2)[0].splitlines()[-1]))


async def _main() -> None:
    flood = Flood(*json.loads(sys.argv[1]))
    await flood.run()
    print(json.dumps(vars(flood.outcome)))


if __name__ == "__main__":
    uvloop.run(_main())
