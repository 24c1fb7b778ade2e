"""What a use case asks of whoever runs it, and what it is sent back: all that there is to do in a client."""

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

import httpx2

from auth_service_client.stores import Saved, json_object

ANSWER = 5.0  # seconds for one answer
LARGEST = 10_000_000  # bytes of an answer; the largest, the export of an account, is a tenth of it
TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
UNSENDABLE = re.compile(rb"[\0\r\n\v\f]")
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

    def headers_with(self, others: httpx2.Headers) -> httpx2.Headers:
        """Return its headers and these, where it has none of the same name."""
        both = others.copy()
        both.update(self.headers)
        return both


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


def sendable(headers: Mapping[str, str | bytes]) -> httpx2.Headers:
    """Return these headers as they are sent: in Latin-1, as frameworks read them, so that what a browser sent to a back
    end goes on unchanged; a letter that is outside of it becomes "?".

    Raises:
        ValueError: a name or a value cannot be sent in a header, such as with a line break.
    """
    sent = {}
    for name, value in headers.items():
        raw = value.encode("latin-1", "replace") if isinstance(value, str) else value
        if not isinstance(raw, bytes) or not TOKEN.fullmatch(name) or UNSENDABLE.search(raw):
            raise ValueError(f"the header {name!r} cannot be sent")
        sent[name.encode()] = raw.strip(b" \t")
    return httpx2.Headers(sent)


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
    return json_object(answer.body)
