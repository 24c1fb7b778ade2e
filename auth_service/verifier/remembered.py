"""The tokens that were found good: the next request with one of them costs no public-key arithmetic."""

import hashlib
import time

from auth_service.verifier.claims import Claims


class Remembered:
    """Claims by the token's digest, at most `limit` of them, each until its token expires (and `leeway` seconds).

    Only a token whose signature was checked is added, so that forged ones, however many, push nothing out.
    """

    def __init__(self, limit: int, leeway: float) -> None:
        self._limit = limit
        self._leeway = leeway
        self._claims: dict[bytes, tuple[Claims, float]] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def find_claims(self, token: str) -> Claims | None:
        """Return the claims of a token that was added and has not expired."""
        found = self._claims.get(_digest(token))
        return found[0] if found and time.time() < found[1] else None

    def add(self, token: str, claims: Claims) -> None:
        """Remember a token; when there is no room, the one that came first goes, which is near its end."""
        while self._claims and len(self._claims) >= self._limit:
            del self._claims[next(iter(self._claims))]
        if self._limit:
            self._claims[_digest(token)] = (claims, claims.expires_at.timestamp() + self._leeway)

    def clear(self) -> None:
        self._claims.clear()


def _digest(token: str) -> bytes:
    """What stands for a token in memory: it cannot be presented, and is short."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
