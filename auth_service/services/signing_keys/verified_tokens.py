"""Access tokens whose signature was checked already: the same token is not checked again while it lives.

Only a token that passed gets in, so forged ones can push nothing out.
"""

import hashlib

from auth_service.security.tokens.claims import Claims

LIMIT = 10_000  # entries, of about half a kibibyte each


class VerifiedTokens:
    """A bounded memory of claims by the digest of their token, so that no token lies in memory."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._claims: dict[bytes, Claims] = {}

    def find_claims(self, access_token: str) -> Claims | None:
        """What a verified token says. Whether it has expired and whether its key is still good is the caller's look."""
        return self._claims.get(_digest(access_token))

    def remember(self, access_token: str, claims: Claims) -> None:
        """Keep the claims of a token that has just passed every check; the oldest makes room."""
        while len(self._claims) >= self._limit:
            del self._claims[next(iter(self._claims))]
        self._claims[_digest(access_token)] = claims

    def __len__(self) -> int:
        return len(self._claims)


def _digest(access_token: str) -> bytes:
    return hashlib.sha256(access_token.encode()).digest()
