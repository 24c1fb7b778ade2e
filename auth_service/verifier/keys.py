"""The service's public keys: fetched again before they are too old, and when a token names one that is not known."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from auth_service.verifier.errors import InvalidToken, ServiceError, Unavailable
from auth_service.verifier.service import Service
from auth_service.verifier.tokens import ALGORITHM

logger = logging.getLogger("auth_service.verifier")

MAX_AGE = 300.0  # seconds, when the service does not say
RETRY_AFTER = 2.0  # seconds


class Keys:
    """Keys by their id. `on_change` is called after the set has become another one."""

    look_again_every = 1.0  # seconds; invented key ids must not become a flood of requests
    most_waiting = 50  # requests with an unknown key id; anybody can make one up, and would hold a request for a second
    shortest, longest = 10.0, 3600.0  # seconds between two readings, whatever the service says

    def __init__(self, service: Service, on_change: Callable[[], None]) -> None:
        self._service = service
        self._on_change = on_change
        self._keys: dict[str, jwt.PyJWK] = {}
        self._content: Any = None
        self._etag: str | None = None
        self._waiting = 0
        self._max_age = MAX_AGE
        self.looking = asyncio.Lock()  # a new one for each event loop
        self._read_at = self._asked_at = self._failed_at = float("-inf")

    def __len__(self) -> int:
        return len(self._keys)

    async def get(self, kid: str) -> jwt.PyJWK:
        """Return a key. An unknown one may be as young as the token, so the set is read again, once for all who wait.

        Raises:
            InvalidToken: the service does not have it either.
            Unavailable: the service cannot be asked.
        """
        key = self._keys.get(kid) or (await self._look_again()).get(kid)
        if key is None:
            raise InvalidToken("no such key")
        return key

    async def read(self) -> None:
        """Read the key set; what is known stays when that fails.

        Raises:
            ServiceError: it could not be read, or holds no key for us.
        """
        self._asked_at = started = time.monotonic()
        try:
            found = await self._service.keys(self._etag)
            if found.changed:
                self.take(found.content)
        except ServiceError:
            self._failed_at = time.monotonic()
            raise
        self._etag = found.etag
        self._max_age = MAX_AGE if found.max_age is None else found.max_age
        self._read_at = started

    def take(self, content: Any) -> None:
        """Replace what is known by this key set; raises ServiceError when it holds no key for us."""
        keys = _usable(content)
        if not keys:
            raise ServiceError("the key set holds no usable key")
        self._keys = keys
        if content != self._content:
            self._content = content
            self._on_change()

    async def follow(self) -> None:
        """Read the set again whenever it is as old as the service allows, for ever."""
        while True:
            failed = self._failed_at > self._read_at
            await asyncio.sleep(RETRY_AFTER if failed else min(max(self._max_age, self.shortest), self.longest))
            try:
                async with self.looking:
                    await self.read()
            except ServiceError as error:
                logger.debug("the keys were not read: %s", error)
            except Exception:
                logger.exception("the keys were not read")  # whatever it was: to follow no more would be worse

    async def _look_again(self) -> Mapping[str, jwt.PyJWK]:
        if self._waiting >= self.most_waiting:
            raise (
                Unavailable("the keys do not come") if self._failed_at > self._read_at else InvalidToken("no such key")
            )
        self._waiting += 1
        try:
            return await self._read_after(time.monotonic())
        finally:
            self._waiting -= 1

    async def _read_after(self, came: float) -> Mapping[str, jwt.PyJWK]:
        """Read the set, unless it was read since then for somebody else who waits."""
        async with self.looking:
            if self._failed_at > came:
                raise Unavailable("the keys were asked for and did not come")
            if self._read_at < came:
                await asyncio.sleep(self._asked_at + self.look_again_every - time.monotonic())
                try:
                    await self.read()
                except ServiceError as error:
                    raise Unavailable(str(error)) from None
            return self._keys


def _usable(content: Any) -> dict[str, jwt.PyJWK]:
    """The keys of a set (RFC 7517, section 5) that can have signed an access token; others are none of our business."""
    listed = content.get("keys") if isinstance(content, dict) else None
    wanted = {"kty": "EC", "crv": "P-256", "alg": ALGORITHM, "use": "sig"}
    found = {}
    for key in listed if isinstance(listed, list) else []:
        if isinstance(key, dict) and isinstance(key.get("kid"), str) and wanted.items() <= key.items():
            try:
                found[key["kid"]] = jwt.PyJWK(key, ALGORITHM)
            except (jwt.PyJWTError, ValueError, TypeError) as error:
                logger.warning("a key of the set cannot be read: %s", type(error).__name__)
    return found
