"""What the service is to reach, and whether the figures show that it does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.contestants import BEFORE as OTHER
from bench.contestants import BETTER_AUTH, FASTAPI_USERS, FLOOR, OURS, SIMPLEJWT
from bench.figures import Figures
from bench.floors import HASHING, PGBENCH
from bench.results import beside
from bench.table import number

PASSWORD, PASSKEY, OPTIONS, BARE = "login with a password", "login with a passkey", "options", "bare route"
LOGIN, WHOLE, SECOND = "login", "login with TOTP", "second step"
UNCOUNTED = "this service without limits of attempts"
WITH_PASSKEYS = "this service with passkeys"
BEFORE = "before "  # and the commit: the names of the parts of `bench.before`
CHANGED = ("login", "refresh", "me", "verify")
GROWTH = 1.3  # times what a request takes in a small table
_GROWN = {  # the reasons, by the name of a request
    "admin: part of an address": "PostgreSQL reads all users who share three letters with it, a thousand times as many",
}
_SAID = {"verify": "there are three more headers to send, and a longer token to read"}
HALF_OF_SERVE = ("cleanup", "migrate", "users list")
Figure = Callable[[Figures], float | None]


@dataclass(frozen=True)
class Target:
    """A figure and its bound: `least` is to be reached, `most` is not to be exceeded; else it only informs.

    `above` is to be exceeded. `reason` is what was found to stand in the way, for as long as it does. `short` ones
    stand in the README too.
    """

    text: str
    figure: Figure
    least: float | None = None
    above: float | None = None
    most: float | None = None
    unit: str = "x"
    reason: str = ""
    short: bool = False

    @property
    def bound(self) -> str:
        bounds = {"at least": self.least, "over": self.above, "at most": self.most}
        return next((f"{how} {bound:,g}{self.unit}" for how, bound in bounds.items() if bound is not None), "-")

    def verdict(self, figures: Figures) -> str:
        """The word for the table."""
        found = self.figure(figures)
        if self.bound == "-":
            return "-"
        if found is None:
            return "not measured"
        return "yes" if self._met(found) else ": ".join(filter(None, ("no", self.reason)))

    def reached(self, figures: Figures) -> str:
        """The figure, with more digits if the usual ones would look like the other verdict."""
        found = self.figure(figures)
        told = number(found)
        if found is not None and self._met(found) != self._met(float(told.replace(",", ""))):
            told = f"{found:,.4g}"
        return told if found is None else f"{told}{self.unit}"

    def _met(self, found: float) -> bool:
        return (
            (self.least is None or found >= self.least)
            and (self.above is None or found > self.above)
            and (self.most is None or found <= self.most)
        )


def _ratio(part: str, operation: str, other: str, *, who: str = OURS, compared: str = "") -> Figure:
    """Requests per CPU-second beside those of another, of the same operation if no other is named."""
    return lambda figures: figures.at(part, "ratios", beside((operation, who), (compared or operation, other)))


def _at(part: str, *keys: str) -> Figure:
    return lambda figures: figures.at(part, *keys)


def before(part: str) -> Iterator["Target"]:
    """This service beside another commit of it, by the name of the part."""
    for operation in CHANGED:
        yield Target(
            f"{operation} vs. commit {part.removeprefix(BEFORE)}",
            _ratio(part, operation, OTHER),
            least=0.97,
            reason=_SAID.get(operation, ""),
        )


def growth(request: str) -> "Target":
    """What one request takes in the large table beside the small one."""
    return Target(request, _at("scale", "ratios", request, "p50"), most=GROWTH, reason=_GROWN.get(request, ""))


def _commands(figures: Figures) -> float | None:
    """The slowest of the commands beside the first answer of `serve`."""
    found = [figures.at("start", "commands", command, "of_serve_cpu") for command in HALF_OF_SERVE]
    return max((one for one in found if one is not None), default=None)


def _passkeys_mib(figures: Figures) -> float | None:
    with_them, without = (figures.at("start", "servers", name, "anonymous_mib") for name in (WITH_PASSKEYS, OURS))
    return with_them - without if with_them and without else None


def _growth(figures: Figures) -> float | None:
    """The worst ratio of all requests."""
    ratios = figures.at("scale", "ratios") or {}
    return max((one["p50"] for one in ratios.values()), default=None)


COMPARE = (
    Target(
        "login vs. threads that only hash",
        _ratio("compare", "login", HASHING),
        least=0.85,
        reason="two statements, a signature and a log line run with caches that the hash has just evicted",
        short=True,
    ),
    Target(
        "login vs. better-auth",
        _ratio("compare", "login", BETTER_AUTH),
        above=1.0,
        reason="most of both is a hash with the same parameters, and each has a build for the processor",
        short=True,
    ),
    Target("the hash alone vs. a login of better-auth", _ratio("compare", "login", BETTER_AUTH, who=HASHING)),
    Target("login vs. fastapi-users", _ratio("compare", "login", FASTAPI_USERS)),
    Target("the hash alone vs. a login of fastapi-users", _ratio("compare", "login", FASTAPI_USERS, who=HASHING)),
    Target("login vs. Django simplejwt", _ratio("compare", "login", SIMPLEJWT)),
    Target(
        "refresh vs. Django simplejwt with its blacklist", _ratio("compare", "refresh", SIMPLEJWT), least=10, short=True
    ),
    Target(
        "refresh vs. the floor: bare Starlette, one statement, one signature",
        _ratio("compare", "refresh", FLOOR),
        least=0.7,
        reason="the floor checks no tag, has no limits, time-outs or log line, and a minimal pool",
        short=True,
    ),
    Target("refresh vs. pgbench: the statement, no HTTP and no signature", _ratio("compare", "refresh", PGBENCH)),
    Target("me vs. fastapi-users (JWT)", _ratio("compare", "me", FASTAPI_USERS), least=4, short=True),
    Target("me vs. better-auth", _ratio("compare", "me", BETTER_AUTH), least=3),
    Target("me vs. Django simplejwt", _ratio("compare", "me", SIMPLEJWT)),
    Target("verify vs. a bare Starlette route", _ratio("compare", "verify", FLOOR), least=0.6, short=True),
)
SECOND_FACTOR = (
    Target(
        "a whole sign-in with an app, both steps, vs. a login with a password",
        _ratio("second_factor", WHOLE, OURS, compared=LOGIN),
        least=0.9,
        reason="the container's build makes a hash shorter, and the second step not; 0.92x with PyPI's",
    ),
    Target(
        "second step vs. bare Starlette, the one statement and a signature",
        _ratio("second_factor", SECOND, FLOOR),
        least=0.6,
        reason="PostgreSQL alone works longer on what must be written than the floor in all",
        short=True,
    ),
    Target(
        "the same with `AUTH_THROTTLE__ENABLED=false`",
        _ratio("second_factor", SECOND, FLOOR, who=UNCOUNTED),
    ),
)
PASSKEYS = (
    Target(
        "sign-in with a passkey vs. with a password",
        _ratio("passkeys", PASSKEY, OURS, compared=PASSWORD),
        least=10,
        short=True,
    ),
    Target(
        "sign-in with a passkey vs. bare Starlette, an ES256 verification, one statement, one signature",
        _ratio("passkeys", PASSKEY, FLOOR),
        least=0.5,
        reason="the floor looks up no account and passkey first, and notes no sign-in",
        short=True,
    ),
    Target(
        "verification of a passkey's signature, with all checks, vs. bare ES256",
        _at("passkeys", "verification", "ratio"),
        least=0.5,
    ),
    Target(
        "options vs. a bare route that reads and answers JSON",
        _ratio("passkeys", OPTIONS, FLOOR, compared=BARE),
        least=0.7,
        reason="request id, limits and log line, which every request of this service has",
    ),
)
START = (
    Target(
        "start to the first answer vs. fastapi-users, in time",
        _at("start", "ratios", FASTAPI_USERS, "seconds"),
        most=1.0,
        reason="the libraries alone take 0.97 of it",
        short=True,
    ),
    Target("the same, in CPU time", _at("start", "ratios", FASTAPI_USERS, "cpu")),
    Target(
        "`cleanup`, `migrate`, `users list`, the slowest, vs. the first answer of `serve`, in CPU time",
        _commands,
        most=0.5,
        reason="SQLModel with SQLAlchemy, pydantic and asyncpg alone take 0.44 of it",
        short=True,
    ),
    Target(
        "idle memory of one worker (PSS)",
        _at("start", "servers", OURS, "pss_mib"),
        most=92,
        unit=" MiB",
        reason="the libraries alone take 84, and what is left is live objects",
        short=True,
    ),
    Target("what passkeys add to it", _passkeys_mib, most=3, unit=" MiB"),
)
CLEANUP = (
    Target(
        "refresh p99 beside the clean-up at its default pace vs. without it",
        _at("cleanup", "refresh_p99_ratio"),
        most=3,
        short=True,
    ),
    Target(
        "clean-up at full speed (`--rate 0`)",
        _at("cleanup", "rows_per_second_at_full_speed"),
        least=200_000,
        unit=" rows/s",
        short=True,
    ),
)
SCALE = (
    Target(
        "p50 with 10,000,000 sessions vs. 10,000, the worst of all requests",
        _growth,
        most=GROWTH,
        reason="an administrator's search for a part of an address; all others are within it",
        short=True,
    ),
)
SOAK = tuple(
    Target(
        f"growth of {text} in the second half of the time, by a straight line",
        _at("soak", "memory_mib", name, "growth_in_second_half"),
        most=2,
        unit=" MiB",
        reason=reason,
    )
    for name, text, reason in (
        ("server", "the process's memory", ""),
        (
            "postgresql",
            "PostgreSQL's memory",
            "connections opened after 22 minutes still fill their caches of plans; those from the start stay",
        ),
    )
)
ALL = (*COMPARE, *SECOND_FACTOR, *PASSKEYS, *START, *CLEANUP, *SCALE, *SOAK)
