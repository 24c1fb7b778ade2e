"""What is written down: one JSON object a line, each with `what` it is. No line holds a secret, only labels of them."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

STEP = 30  # seconds for which an authenticator app shows a code

# Wall time, which the tokens' `exp` is told in, but steady: a clock that is set back must not reorder the history.
_STEADY = time.time() - time.monotonic()


def now() -> float:
    return _STEADY + time.monotonic()


def label(secret: str) -> str:
    """Return a name for a token that does not let anybody use it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def generation_of(refresh_token: str) -> int:
    """Return the number of refreshes that led to a token, which stands in it: see security/tokens/refresh_tokens.py."""
    return int.from_bytes(base64.urlsafe_b64decode(refresh_token.removeprefix("art_") + "=")[36:40], "big")


@dataclass(frozen=True)
class Attempt:
    """One request and its answer; `status` is None if none came. `by` is a role and a number, such as `owner-3`."""

    id: str
    op: str
    by: str
    start: float
    end: float
    status: int | None = None
    code: str | None = None
    error: str | None = None
    node: int | None = None
    user: str | None = None
    session: str | None = None
    token: str | None = None  # the refresh token presented
    generation: int | None = None  # of that token
    key: str | None = None  # the Idempotency-Key, if there was one
    successor: str | None = None  # the refresh token in the answer
    next_generation: int | None = None  # of that token
    exp: float | None = None  # of the access token presented
    kid: str | None = None
    password: int | None = None  # the number of the password given
    new_password: int | None = None
    code_used: str | None = None  # of a second factor: a label of it
    step: int | None = None  # that such a code of an app is of
    challenge: str | None = None  # a label of the one presented
    listed: tuple[str, ...] | None = None
    shown: tuple[str, ...] | None = None  # beside each of those: a label of all that is told of it

    @property
    def role(self) -> str:
        return self.by.partition("-")[0]

    @property
    def accepted(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def refused(self) -> bool:
        """The service decided against it, and so it has not been done."""
        return self.status is not None and 400 <= self.status < 500

    @property
    def unknown(self) -> bool:
        """No answer, or none about the request: it may have been done, and may even still be done."""
        return not self.accepted and not self.refused


class History:
    """The file that a run writes."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", encoding="utf-8")

    def write(self, what: str, **values: Any) -> None:
        self._file.write(json.dumps({"what": what} | values) + "\n")

    def attempt(self, made: Attempt) -> None:
        self.write("attempt", **{name: value for name, value in asdict(made).items() if value is not None})

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True)
class Settings:
    """What the rules depend on, in seconds."""

    grace: float
    access_lifetime: float
    leeway: float
    session_lifetime: float
    stale_after: float


@dataclass(frozen=True)
class Event:
    """Something that the nemesis did, and for how long."""

    name: str
    start: float
    end: float
    kid: str | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Row:
    """A session in the database at the end. `attempt` is the login that made it, from its User-Agent.

    `without_code` is whether a password alone opened it after the account had a second factor.
    """

    session: str
    user: str
    attempt: str
    generation: int
    alive: bool
    reason: str | None
    without_code: bool = False


@dataclass(frozen=True)
class Account:
    """A user in the database at the end."""

    user: str
    epoch: int
    active: bool


@dataclass(frozen=True)
class Record:
    """A whole history, read again."""

    settings: Settings
    attempts: list[Attempt]
    events: list[Event]
    rows: list[Row]
    accounts: list[Account]
    closed_at: float | None  # when the database was read at the end; None if the run did not get there
    served: dict[str, int]  # what the service's own log says

    @classmethod
    def read(cls, file: Path) -> Self:
        """Raises ValueError for a file that is no history."""
        lines = list(_lines(file))
        settings = next((line for line in lines if line["what"] == "settings"), None)
        if settings is None:
            raise ValueError(f"{file} holds no settings, so it is no history")
        closed = next((line["at"] for line in lines if line["what"] == "closed"), None)
        served: dict[str, int] = next((line["counts"] for line in lines if line["what"] == "served"), {})
        kinds = (("attempt", Attempt), ("event", Event), ("row", Row), ("account", Account))
        attempts, events, rows, accounts = (
            [_make(kind, x) for x in lines if x["what"] == what] for what, kind in kinds
        )
        return cls(_make(Settings, settings), attempts, events, rows, accounts, closed, served)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _make(kind: type[Any], line: dict[str, Any]) -> Any:
    """Take the fields that are known: an older program can read a newer history."""
    values = {field.name: line[field.name] for field in fields(kind) if field.name in line}
    for name in {"listed", "shown"} & set(values):
        values[name] = tuple(values[name])
    return kind(**values)
