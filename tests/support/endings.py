"""Every way in which a session ends, each through the door that its owner, a thief or an operator uses."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from .client import PASSWORD, Client
from .processes import Pair

# What the processes need for it: a second login evicts the first, and a spent token is at once a reuse.
SETTINGS = {"AUTH_SESSIONS__MAX_PER_USER": "2", "AUTH_TOKENS__REFRESH_GRACE": "0"}


@dataclass(frozen=True)
class Ending:
    """A session that has ended, acknowledged: its last tokens, and what a command said that ended it."""

    session_id: str
    access_token: str
    refresh_token: str
    said: str = ""


Ended = tuple[dict[str, Any], str]


async def by_logout(_pair: Pair, a: Client, email: str) -> Ended:
    mine = await a.sign_in(email)
    assert (await a.logout(mine["refresh_token"])).status_code == 204
    return mine, ""


async def by_reuse(_pair: Pair, a: Client, email: str) -> Ended:
    stolen = await a.sign_in(email)
    newer = await a.rotate(stolen["refresh_token"], times=3)
    assert (await a.refresh(stolen["refresh_token"])).status_code == 401
    return newer, ""


async def by_password_change(_pair: Pair, a: Client, email: str) -> Ended:
    mine = await a.sign_in(email)
    assert (await a.change_password(mine["access_token"], PASSWORD, PASSWORD + "!")).status_code == 200
    return mine, ""


async def by_disabling(pair: Pair, a: Client, email: str) -> Ended:
    mine = await a.sign_in(email)
    return mine, await asyncio.to_thread(pair.command, "users", "disable", email)


async def by_deletion(_pair: Pair, a: Client, email: str) -> Ended:
    other, mine = await a.sign_in(email), await a.sign_in(email)
    assert (await a.delete_account(mine["access_token"])).status_code == 204
    return other, ""


async def by_eviction(_pair: Pair, a: Client, email: str) -> Ended:
    oldest = await a.sign_in(email)
    for _ in range(2):
        await a.sign_in(email)
    return oldest, ""


ENDINGS: dict[str, Callable[[Pair, Client, str], Awaitable[Ended]]] = {
    "logout": by_logout,
    "reuse": by_reuse,
    "password_changed": by_password_change,
    "user_disabled": by_disabling,
    "user_deleted": by_deletion,
    "evicted": by_eviction,
}


async def end(reason: str, pair: Pair, a: Client) -> Ending:
    """Register somebody, sign them in through process A and end their session for this reason."""
    email = f"{uuid4().hex}@example.com"
    (await a.register(email)).raise_for_status()
    tokens, said = await ENDINGS[reason](pair, a, email)
    return Ending(tokens["session_id"], tokens["access_token"], tokens["refresh_token"], said)


async def assert_dead(client: Client, tokens: dict[str, Any]) -> None:
    """Neither of these tokens opens anything."""
    answer = await client.refresh(tokens["refresh_token"])
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-refresh-token")
    assert (await client.me(tokens["access_token"])).status_code == 401
