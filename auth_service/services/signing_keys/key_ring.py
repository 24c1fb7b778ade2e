"""The signing keys in memory: which one signs, which ones verify, and what is published."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime

import structlog

from auth_service.errors import DatabaseUnavailable, Denial, InvalidAccessToken, Unavailable
from auth_service.models import KeyState, SigningKey
from auth_service.repositories.database import Database
from auth_service.security.keys import SecretKeys
from auth_service.security.signing_keys import make_signing_key
from auth_service.security.tokens.access_tokens import AccessTokens, IssuedToken, Signer
from auth_service.security.tokens.claims import Claims, Subject
from auth_service.services.signing_keys.database_clock import DatabaseClock
from auth_service.services.signing_keys.stored_keys import KeySet, StoredKeys
from auth_service.services.signing_keys.verified_tokens import VerifiedTokens

log = structlog.get_logger()

LOOK_AGAIN_EVERY = 0.5  # seconds; invented key ids must not become a flood of queries
READ_EVERY = 2.0  # seconds; an emergency is over when every process has seen it
NEWS_WITHIN = 3.0  # seconds; the keys are read more often than this
MOST_WAITING = 50  # requests for a key that may just be being published; whoever comes then waits for nothing


class SigningKeyUnavailable(Unavailable):
    detail = "Nobody can be signed in just now; the operator's log says why."


class KeyRing:
    """Signs and verifies access tokens. The keys are read once and then kept fresh by `follow()`."""

    def __init__(self, database: Database, secrets: SecretKeys, tokens: AccessTokens, clock: DatabaseClock) -> None:
        self._database = database
        self._secrets = secrets
        self._tokens = tokens
        self._clock = clock
        self._stored = StoredKeys(secrets)
        self._ring: KeySet | None = None
        self._loading: asyncio.Task[KeySet] | None = None
        self._looking = asyncio.Lock()
        self._news = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._waiting = 0
        self._verified = VerifiedTokens()
        self._read_at = self._failed_at = float("-inf")

    async def sign(self, subject: Subject, now: datetime, seconds_left: int) -> IssuedToken:
        """Return an access token that starts at `now`, the database's time, of a session with so many seconds left."""
        signer = await self.signer()
        self._clock.saw(now)
        return self._tokens.issue(signer, subject, now, seconds_left)

    async def signer(self) -> Signer:
        """Return the active key; raises `Unavailable` if it cannot be had."""
        signer = (await self._current()).signer
        if signer is None:
            raise SigningKeyUnavailable
        return signer

    async def verify(self, access_token: str) -> Claims:
        """Return what a token says.

        Raises:
            InvalidAccessToken: for every defect of the token alike.
            DatabaseUnavailable: its key is not known here, and the stored ones cannot be read.
            Unavailable: its key is not known here, and neither is the active one.
        """
        ring = await self._current()
        known = self._known(access_token, ring)
        if known is None and self._tokens.key_id(access_token) not in ring.verifiers:
            with self._place_to_wait():
                ring = await self._look_again()
        return known or self._check(access_token, ring)

    async def verify_from_memory(self, access_token: str) -> Claims:
        """The same, without asking the database: a token of an unknown key waits for the next reading.

        Raises:
            InvalidAccessToken: for every defect of the token alike.
            Unavailable: its key is not known here, and no reading came in time.
        """
        if self._ring is None:
            raise SigningKeyUnavailable
        known = self._known(access_token, self._ring)
        if known is None and self._tokens.key_id(access_token) not in self._ring.verifiers:
            with self._place_to_wait():
                await self._next_reading()
        return known or self._check(access_token, self._ring)

    def _known(self, access_token: str, ring: KeySet) -> Claims | None:
        """What a token says that has passed before; raises `InvalidAccessToken` if its time or its key is over."""
        claims = self._verified.find_claims(access_token)
        if claims and claims.kid not in ring.verifiers:
            raise InvalidAccessToken(Denial.UNKNOWN_KEY, claims.user_id)
        if claims and claims.is_over(self._clock.now()):
            raise InvalidAccessToken(Denial.EXPIRED, claims.user_id)
        return claims

    def _check(self, access_token: str, ring: KeySet) -> Claims:
        if ring.signer is None and self._tokens.key_id(access_token) not in ring.verifiers:
            raise SigningKeyUnavailable  # the wrong secret is our fault: the token may well be good
        claims = self._tokens.verify(access_token, ring.verifiers, self._clock.now())
        self._verified.remember(access_token, claims)
        return claims

    @property
    def remembered(self) -> int:
        return len(self._verified)

    @property
    def stored(self) -> Sequence[SigningKey]:
        """The keys as they were last read; none before the first reading."""
        return self._ring.keys if self._ring else ()

    @property
    def can_sign(self) -> bool:
        """Whether the active key is here and could be opened."""
        return self._ring is not None and self._ring.signer is not None

    async def published(self) -> list[dict[str, str]]:
        """The public keys, for `/.well-known/jwks.json` (RFC 7517, section 5)."""
        return (await self._current()).public

    async def follow(self) -> None:
        """Read the stored keys again and again until `stop()` is called, by a clock that nobody sets back."""
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_EVERY):
                    await self._stopping.wait()
                    return
            try:
                await self.reload()
            except Exception:
                log.exception("signing_keys.not_read")  # whatever it was: to follow no more would be worse

    def stop(self) -> None:
        """Let `follow()` end after the reading that it is at."""
        self._stopping.set()

    async def reload(self) -> None:
        """Read the stored keys again; without a database the known ones stay in use."""
        try:
            async with self._looking:  # an older reading must not overwrite a newer one
                await self._load()
        except DatabaseUnavailable as error:
            # Before the first reading nothing stays in use, and `service.not_ready` tells what is waited for.
            if self._ring:
                log.warning("signing_keys.reload_failed", code=error.code)

    async def _current(self) -> KeySet:
        if self._ring is None:
            # One reading for all who wait. Each for itself, in turn, would add up while the database is silent.
            if self._loading is None or self._loading.done():
                self._loading = asyncio.create_task(self._load())
                self._loading.add_done_callback(lambda task: task.cancelled() or task.exception())
            return await asyncio.shield(self._loading)
        return self._ring

    @contextmanager
    def _place_to_wait(self) -> Iterator[None]:
        """Let so many wait and no more: anybody can make a key id up, and would so hold a request for seconds."""
        if self._waiting >= MOST_WAITING:
            is_known = time.monotonic() - self._read_at < NEWS_WITHIN
            raise InvalidAccessToken(Denial.UNKNOWN_KEY) if is_known else DatabaseUnavailable
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _next_reading(self) -> None:
        asked = time.monotonic()
        try:
            async with asyncio.timeout(NEWS_WITHIN), self._news:
                await self._news.wait_for(lambda: self._read_at > asked)
        except TimeoutError:
            raise DatabaseUnavailable from None

    async def _look_again(self) -> KeySet:
        """Read the keys, once for all who ask at the same time: an unknown one may be as young as the token.

        After an emergency a new key signs at once, in each process as soon as that one has seen it.
        """
        asked = time.monotonic()
        async with self._looking:
            if self._failed_at > asked:
                raise DatabaseUnavailable
            if self._ring is None or self._read_at < asked:
                await asyncio.sleep(self._read_at + LOOK_AGAIN_EVERY - time.monotonic())
                try:
                    return await self._load()
                except DatabaseUnavailable:
                    self._failed_at = time.monotonic()
                    raise
            return self._ring

    async def _load(self) -> KeySet:
        started = asked = time.monotonic()
        async with self._database.statement() as tx:
            stored, now = await tx.signing_keys.list_with_time()
        if not any(key.state == KeyState.ACTIVE for key in stored):
            async with self._database.statement() as tx:
                await tx.signing_keys.add_first(asdict(make_signing_key(self._secrets)))
                asked = time.monotonic()
                stored, now = await tx.signing_keys.list_with_time()
        if now is not None:
            self._clock.heard(now, asked)
        self._ring = ring = self._stored.key_set(stored)
        self._read_at = started
        async with self._news:
            self._news.notify_all()
        return ring
