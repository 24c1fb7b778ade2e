"""The load generator: a process of its own that takes one job after the other and says what each stretch saw."""

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench.exchanges import Exchange
from bench.stream import NotGrantedError, drive


@dataclass(frozen=True)
class Job:
    """What to send where. Without `seconds` each value is sent once; `watched` are process ids.

    With a `second` exchange, which goes without `seconds`, each answer is followed by that: what the group `chain` of
    the first found takes the value's place, and what stands behind the space in the value stays.
    """

    port: int
    exchange: Exchange
    values: Sequence[str]
    watched: Sequence[int] = ()
    connections: int = 16
    seconds: float | None = None
    second: Exchange | None = None


@dataclass(frozen=True)
class Stretch:
    """What was measured: answers, seconds, the CPU seconds of who was watched and of the generator, milliseconds."""

    answers: int
    seconds: float
    cpu: float
    generator_cpu: float
    p50: float
    p95: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.answers / self.cpu if self.cpu else 0.0

    @property
    def generator_share(self) -> float:
        """Which part of one core the generator was busy."""
        return self.generator_cpu / self.seconds


Picked = list[dict[str, str]]


class Generator:
    """The other end of the process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, job: Job) -> tuple[Stretch, Picked]:
        """Do one job, and return also what was found, for each value in its place, in the last answer.

        Raises:
            NotGrantedError: a server refused.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline() or '{"refused": "the generator ended"}')
        if "refused" in found:
            raise NotGrantedError(f"{job.exchange.head.splitlines()[0]}: {found['refused']}")
        return Stretch(**found["stretch"]), found["picked"]


@contextmanager
def start() -> Iterator[Generator]:
    """Run the generator for the length of the block."""
    command = [sys.executable, "-m", "bench.generator"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Generator(process)
        finally:
            process.kill()


def _work(job: dict[str, Any]) -> dict[str, Any]:
    exchange, values, seconds = Exchange(**job.pop("exchange")), job.pop("values"), job.pop("seconds")
    second = Exchange(**made) if (made := job.pop("second")) else None
    picked: Picked = [{} for _ in values]

    def then(number: int, request: bytes, answer: bytes) -> bytes | None:
        if exchange.chain or seconds is None:
            picked[number] = _found(exchange, answer)
        if seconds is None:
            return None
        return exchange.render(picked[number][exchange.chain]) if exchange.chain else request

    def then_second(number: int, _request: bytes, answer: bytes) -> bytes | None:
        if second is None or picked[number]:
            return None
        picked[number] = _found(exchange, answer)
        return second.render(f"{picked[number][exchange.chain or '']} {values[number].partition(' ')[2]}")

    started = time.process_time()
    requests, limit = [exchange.render(value) for value in values], seconds or 60.0
    if second:
        job |= {"granted": (exchange.granted, second.granted), "in_turn": False}
    sample = drive(requests=requests, seconds=limit, then=then_second if second else then, **job)
    own = time.process_time() - started
    stretch = Stretch(len(sample.latencies), sample.seconds, sample.cpu, own, *percentiles(sample.latencies))
    return {"stretch": asdict(stretch), "picked": picked}


def _found(exchange: Exchange, answer: bytes) -> dict[str, str]:
    """What an exchange picks of an answer."""
    if exchange.pick is None:
        return {}
    found = re.search(exchange.pick, answer.decode(), re.DOTALL)  # which keeps patterns that it has compiled
    if not found:
        raise NotGrantedError("the answer does not hold what is wanted")
    return found.groupdict()


def percentiles(latencies: Sequence[float]) -> tuple[float, float, float]:
    """The median, the 95th and the 99th percentile of some seconds, in milliseconds."""
    if len(latencies) < 2:
        return (1000 * sum(latencies),) * 3
    at = statistics.quantiles(latencies, n=100, method="inclusive")
    return 1000 * at[49], 1000 * at[94], 1000 * at[98]


def _main() -> None:
    for line in sys.stdin:
        try:
            found = _work(json.loads(line))
        except (OSError, NotGrantedError, TimeoutError) as error:
            found = {"refused": f"{type(error).__name__} {error}"}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    _main()
