"""The set of ended sessions as a document. A large one takes a tenth of a second to write, so not for each change."""

import asyncio
import hashlib
import json
import time
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

WRITE_EVERY = 0.2  # seconds; a request waits at most this long for a change, and then gets all changes


class Document(NamedTuple):
    body: bytes
    digest: str


class RevocationDocument:
    """Written at the first request after a change, for all that wait. `sessions` is the set as it is at any time."""

    def __init__(self, sessions: Iterable[UUID]) -> None:
        self._sessions = sessions
        self._written_at = float("-inf")
        self.is_outdated = True

    async def get(self) -> Document:
        """Return the document as it is now, or as it was written since this was called."""
        came = time.monotonic()
        while self.is_outdated and self._written_at < came:
            pause = self._written_at + WRITE_EVERY - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            else:
                self._write()
        return self._document

    def _write(self) -> None:
        body = json.dumps({"sids": sorted(map(str, self._sessions))}).encode()
        self._document = Document(body, hashlib.sha256(body).hexdigest()[:32])
        self._written_at = time.monotonic()
        self.is_outdated = False
