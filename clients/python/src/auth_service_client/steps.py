"""What a use case asks of whoever runs it, and what it is sent back: all that there is to do in a client."""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

import httpx2

from auth_service_client.stores import Saved

ANSWER = 5.0  # seconds for one answer
LARGEST = 10_000_000  # bytes of an answer; the largest, the export of an account, is a tenth of it
Result = TypeVar("Result")


@dataclass(frozen=True)
class Keep:
    """Run this with the store held, and send back what it returns."""

    change: Callable[[Saved], Any]


@dataclass(frozen=True)
class Ask:
    """Send this request, and send back an `Answer`, or the error in its place, within so many seconds."""

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    within: float = ANSWER


class Answer(NamedTuple):
    """What came back, with its body, and when it was asked for, by this machine's clock in seconds since 1970."""

    response: httpx2.Response
    body: bytes | bytearray
    asked_at: float


@dataclass(frozen=True)
class Wait:
    """Wait for so many seconds."""

    seconds: float


Step: TypeAlias = Keep | Ask | Wait
Flow: TypeAlias = Generator[Step, Any, Result]


def add(body: bytearray, part: bytes) -> None:
    """Add a part to a body.

    Raises:
        ReadError: it is larger than what the service says.
    """
    body += part
    if len(body) > LARGEST:
        raise httpx2.ReadError("the answer is too large")


def said_in(answer: Answer) -> dict[str, Any]:
    """What an answer says; nothing if it is none of the service's."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
