"""The token in a link of a mail: `lnk_` and 32 random bytes. The database keeps its SHA-256 alone."""

import hashlib
import secrets

PREFIX = "lnk_"


def new_link_token() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def hash_link_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
