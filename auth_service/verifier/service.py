"""The auth service as this process reaches it: two documents over HTTP, each asked for with the ETag that is known."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import httpx2

from auth_service.verifier.errors import ServiceError, WrongInternalToken
from auth_service.verifier.urls import service_url

KEYS = "/.well-known/jwks.json"
REVOCATIONS = "/internal/revocations"
CONNECT = 2.0  # seconds
PATIENCE = 4.0  # seconds for a whole answer, beyond the time that a long poll may take


@dataclass(frozen=True)
class FetchedDocument:
    """One answer. There is no `content` when nothing has `changed` since the ETag; `max_age` is in seconds."""

    changed: bool
    content: Any
    etag: str | None
    max_age: float | None


class Service:
    """Asks, and raises `ServiceError` for whatever is not an answer. Used between `open()` and `close()`."""

    def __init__(self, url: str, internal_token: str | None) -> None:
        try:
            self.url = service_url(url)
        except ValueError as error:
            raise ValueError(f"the URL of the auth service {error}") from None
        internal_token = (internal_token or "").strip()  # a secret's file ends with a line break
        if not re.fullmatch(r"[ -~]*", internal_token):
            raise ValueError("the internal token must be of printable ASCII characters")
        self._internal = {"X-Internal-Token": internal_token} if internal_token else {}
        self._http: httpx2.AsyncClient | None = None
        self._is_closed = False

    def open(self) -> None:
        # No proxy of the environment: this is a neighbour, and the token for the inside is meant for it alone.
        self._http = httpx2.AsyncClient(base_url=self.url, trust_env=False, follow_redirects=False)
        self._is_closed = False

    async def close(self) -> None:
        if self._http:
            await self._http.aclose()
            self._is_closed = True
        self._http = None

    async def keys(self, etag: str | None) -> FetchedDocument:
        """Return the key set (RFC 7517)."""
        return await self._get(KEYS, {"Cache-Control": "no-cache"}, etag)

    async def revocations(self, etag: str | None, wait: int) -> FetchedDocument:
        """Return the ended sessions; with an ETag, wait up to so many seconds for a change.

        Raises:
            WrongInternalToken: the service refuses it, or wants one.
        """
        query = f"?wait={wait}" if etag and wait else ""
        return await self._get(REVOCATIONS + query, self._internal, etag, wait)

    async def _get(self, path: str, headers: dict[str, str], etag: str | None, wait: int = 0) -> FetchedDocument:
        if self._is_closed:
            raise ServiceError(f"{path.partition('?')[0]}: not asked, the verifier is closed")
        if self._http is None:
            raise RuntimeError("the verifier has not been started: use it with 'async with'")
        known = {"If-None-Match": etag} if etag else {}
        patience = PATIENCE + wait
        try:
            async with asyncio.timeout(patience):
                timeout = httpx2.Timeout(patience, connect=CONNECT)
                answer = await self._http.get(path, headers=headers | known, timeout=timeout)
            return _document(answer, known=bool(etag))
        except (httpx2.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            raise ServiceError(f"{path.partition('?')[0]}: {type(error).__name__}") from None


def _document(answer: httpx2.Response, *, known: bool) -> FetchedDocument:
    path = answer.request.url.path
    if answer.status_code == httpx2.codes.UNAUTHORIZED and path.endswith(REVOCATIONS):
        raise WrongInternalToken(f"{path}: the auth service refuses the internal token")
    if answer.status_code != httpx2.codes.OK and not (known and answer.status_code == httpx2.codes.NOT_MODIFIED):
        raise ServiceError(f"{path}: status {answer.status_code}")
    age = re.search(r"max-age=(\d{1,9})", answer.headers.get("Cache-Control", ""))
    changed = answer.status_code == httpx2.codes.OK
    content = answer.json() if changed else None
    return FetchedDocument(changed, content, answer.headers.get("ETag"), float(age[1]) if age else None)
