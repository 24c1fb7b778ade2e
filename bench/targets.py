"""What the service is to reach beside its peers and the floors, and whether a run did."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.contestants import BETTER_AUTH, FASTAPI_USERS, FLOOR, OURS, SIMPLEJWT
from bench.floors import HASHING, PGBENCH
from bench.results import Results

Figure = Callable[[Results], float | None]


@dataclass(frozen=True)
class Target:
    """A figure and its bound: `least` is to be reached, `most` is not to be exceeded; with neither it only informs.

    `reason` is what was found to stand in the way, for as long as it does.
    """

    text: str
    figure: Figure
    least: float | None = None
    most: float | None = None
    unit: str = "x"
    reason: str = ""

    @property
    def bound(self) -> str:
        if self.least is not None:
            return f"at least {self.least:g}{self.unit}"
        return f"at most {self.most:g}{self.unit}" if self.most is not None else "-"

    def verdict(self, results: Results) -> str:
        """The word for the table."""
        found = self.figure(results)
        if found is None:
            return "not measured"
        if self.least is None and self.most is None:
            return "-"
        met = (self.least is None or found >= self.least) and (self.most is None or found <= self.most)
        return "yes" if met else ": ".join(filter(None, ("no", self.reason)))

    def reached(self, results: Results) -> str:
        found = self.figure(results)
        return "-" if found is None else f"{found:.2f}{self.unit}"


def beside(operation: str, other: str) -> Figure:
    """This service's requests per CPU-second beside another's."""
    return lambda results: results.ratio(operation, OURS, other)


def _starts(results: Results) -> float | None:
    return results.starts_ratio(OURS, FASTAPI_USERS)


def _idle(results: Results) -> float | None:
    found = results.starts.get(OURS)
    return max(found.idle) if found else None


def _hash_beside(other: str) -> Figure:
    """The most that a login can reach here, with no work but the hash."""
    return lambda results: results.ratio("login", HASHING, other)


_COLD = "two statements, a signature and two log lines run with caches that the hash has just evicted"
_BOUND_BY_HASH = "even the hash alone, in the next row, does not reach this ratio"
_NARROW = "the next row leaves little time besides the hash, and that runs with caches that the hash has evicted"

TARGETS = (
    Target("login vs. fastapi-users", beside("login", FASTAPI_USERS), least=2.0, reason=_BOUND_BY_HASH),
    Target("the hash alone vs. a login of fastapi-users", _hash_beside(FASTAPI_USERS)),
    Target("login vs. better-auth", beside("login", BETTER_AUTH), least=1.2, reason=_NARROW),
    Target("the hash alone vs. a login of better-auth", _hash_beside(BETTER_AUTH)),
    Target("login vs. threads that only hash", beside("login", HASHING), least=0.9, reason=_COLD),
    Target("login vs. Django simplejwt", beside("login", SIMPLEJWT)),
    Target("refresh vs. Django simplejwt with its blacklist", beside("refresh", SIMPLEJWT), least=10),
    Target(
        "refresh vs. the floor: bare Starlette, one statement, one signature",
        beside("refresh", FLOOR),
        least=0.7,
        reason="the floor checks no tag, has no limits, time-outs or log line, and a minimal pool",
    ),
    Target("refresh vs. pgbench with the same statement, no HTTP and no signature", beside("refresh", PGBENCH)),
    Target("me vs. fastapi-users (JWT)", beside("me", FASTAPI_USERS), least=4),
    Target("me vs. better-auth", beside("me", BETTER_AUTH), least=3),
    Target("me vs. Django simplejwt", beside("me", SIMPLEJWT)),
    Target("verify vs. a bare Starlette route", beside("verify", FLOOR), least=0.6),
    Target(
        "start to the first answer vs. fastapi-users",
        _starts,
        most=0.8,
        reason="uvicorn, FastAPI, SQLAlchemy and asyncpg, which both import, take most of that time",
    ),
    Target(
        "idle memory of one worker (PSS)",
        _idle,
        most=90,
        unit=" MiB",
        reason="nearly all of it is library code, mainly FastAPI, SQLAlchemy and cryptography",
    ),
)
