"""The names under which attempts are counted: none reveals whom or what it is about."""

from auth_service.security.keys import SecretKeys, hmac_sha256


class ThrottleKeys:
    """Keyed hashes (HMAC-SHA256) under the newest secret: a dump of the table cannot be searched for an address."""

    def __init__(self, secrets: SecretKeys) -> None:
        self._key = secrets.newest.throttles

    def of(self, *parts: str) -> bytes:
        """Return 32 bytes for a purpose and whatever it is about; no part may hold a NUL, which separates them."""
        return hmac_sha256(self._key, "\0".join(parts).encode())
