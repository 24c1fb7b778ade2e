"""One attempt and its line in the history; repetition until there is an answer."""

import asyncio
import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from torture.history import Attempt, History, generation_of, label, now

# Longer than any request may stay in the service (2.5 s at the database, three times in the worst of conflicts): what
# a client gives up is then not done behind its back while it goes on. Lost answers end sooner, by a broken connection.
PATIENCE = 8.0
# The numbers of attempts do not count when two user agents are compared: but for followers, all come from one device.
ELSEWHERE = {"User-Agent": "follower", "X-Forwarded-For": "203.0.113.66"}
BACKOFF_FIRST, BACKOFF_MOST = 0.05, 1.0


@dataclass(frozen=True)
class Call:
    """A request. `noted` is what the history says about it, `secrets` what only the service hears."""

    op: str
    by: str
    method: str
    path: str
    noted: Mapping[str, Any]
    body: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Access:
    """An access token, and what its two first parts say."""

    token: str = field(repr=False)
    exp: float
    kid: str

    @classmethod
    def read(cls, token: str) -> "Access":
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
        return cls(token, float(claims["exp"]), str(header["kid"]))


@dataclass(frozen=True)
class Reply:
    attempt: Attempt
    body: dict[str, Any] = field(default_factory=dict, repr=False)


class Wire:
    """Sends calls to either process at random and writes each attempt down."""

    def __init__(self, history: History, urls: Sequence[str], rng: Random) -> None:
        self._history = history
        self._urls = urls
        self._rng = rng
        self._numbers = itertools.count(1)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50, keepalive_expiry=5)
        self._client = httpx.AsyncClient(timeout=PATIENCE, limits=limits, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    def new_id(self) -> str:
        return f"t{next(self._numbers)}"

    async def once(self, call: Call) -> Reply:
        """Send a call once. Its number goes with it, as request id and as the name of the device."""
        number, node = self.new_id(), self._rng.randrange(len(self._urls))
        headers = {"X-Request-ID": number, "User-Agent": number, **call.headers}
        if call.by.startswith("follower"):
            headers |= ELSEWHERE
        answer, error, start = None, None, now()
        try:
            answer = await self._client.request(
                call.method, self._urls[node] + call.path, json=call.body, headers=headers
            )
        except (httpx.HTTPError, OSError) as failure:
            error = type(failure).__name__
        body = _object(answer)
        values = {
            "id": number, "op": call.op, "by": call.by, "node": node, "start": start, "end": now(), "error": error,
            "status": answer.status_code if answer is not None else None, "code": body.get("code"),
            **call.noted, **_told(call.op, body),
        }  # fmt: skip
        made = Attempt(**values)
        self._history.attempt(made)
        return Reply(made, body)

    async def until_answered(self, call: Call) -> Reply:
        """Send the same call again and again until the service has decided about it."""
        pause = BACKOFF_FIRST
        while (reply := await self.once(call)).attempt.unknown:
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1.5))
            pause = min(pause * 2, BACKOFF_MOST)
        return reply


def _object(answer: httpx.Response | None) -> dict[str, Any]:
    try:
        found = answer.json() if answer is not None and answer.content else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _told(op: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the history keeps of an answer."""
    if "refresh_token" in body:
        token = body["refresh_token"]
        return {"session": body["session_id"], "successor": label(token), "next_generation": generation_of(token)}
    if op == "sessions" and "items" in body:
        told = [label(json.dumps({**item, "current": None}, sort_keys=True)) for item in body["items"]]
        return {"listed": tuple(item["id"] for item in body["items"]), "shown": tuple(told)}
    return {}


def bearer(access: Access) -> dict[str, str]:
    return {"Authorization": f"Bearer {access.token}"}
