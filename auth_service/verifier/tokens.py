"""The strict check of one token: its form, its header, its signature and its claims. No input, no output."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt

from auth_service.verifier.claims import Claims
from auth_service.verifier.errors import InvalidToken

ALGORITHM = "ES256"
TYPE = "at+jwt"
MAX_CHARACTERS = 4096
LONGEST_LIFE = 600  # seconds; the service issues none that lives longer
# Three parts (RFC 7515, section 3.1), the last one 64 bytes in their only spelling: a token has few valid variants.
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")
_REQUIRED = ["exp", "iat", "sub", "sid", "iss", "aud", "jti", "client_id"]
_DEFECTS = (jwt.InvalidTokenError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class TokenCheck:
    """What a token must say. `leeway` is in seconds."""

    issuer: str
    audience: str
    leeway: float

    def key_id(self, token: str) -> str:
        """Return the `kid` of a token whose header is exactly the service's, with no other parameter.

        Raises:
            InvalidToken: any other form or header (RFC 8725, sections 3.1 and 3.11).
        """
        form = _FORM.fullmatch(token) if len(token) <= MAX_CHARACTERS else None
        if form is None:
            raise InvalidToken("not a signed token")
        try:
            header = json.loads(base64.urlsafe_b64decode(form[1] + "=" * (-len(form[1]) % 4)))
            kid = header["kid"]
        except _DEFECTS:
            raise InvalidToken("no readable header") from None
        if header != {"alg": ALGORITHM, "typ": TYPE, "kid": kid} or not isinstance(kid, str):
            raise InvalidToken("not the header of an access token")
        return kid

    def check(self, token: str, key: jwt.PyJWK) -> Claims:
        """Return what a token says that this key has signed and that is meant for us, now.

        Raises:
            InvalidToken: anything else.
        """
        try:
            said = jwt.decode(
                token, key, [ALGORITHM], {"require": _REQUIRED, "strict_aud": True},
                audience=self.audience, issuer=self.issuer, leeway=self.leeway,
            )  # fmt: skip
            return _claims(said)
        except _DEFECTS as defect:
            raise InvalidToken(type(defect).__name__) from None


def _is_one_line(text: Any) -> bool:
    """Whether a text may be put into a header or a log, and add no line to it."""
    return isinstance(text, str) and text.isprintable()


def _claims(said: Mapping[str, Any]) -> Claims:
    """Give the claims their types; raises TypeError or ValueError for one that has another."""
    issued_at, expires_at, client_id, roles = said["iat"], said["exp"], said["client_id"], said.get("roles", [])
    if type(issued_at) is not int or type(expires_at) is not int:
        raise TypeError("iat and exp are integers")
    if expires_at - issued_at > LONGEST_LIFE:
        raise ValueError("lives longer than any token of the service")
    if not isinstance(roles, list) or not all(_is_one_line(text) for text in (client_id, said["jti"], *roles)):
        raise TypeError("client_id, jti and each role are a text without control characters")
    return Claims(
        user_id=UUID(said["sub"]),
        session_id=UUID(said["sid"]),
        roles=tuple(roles),
        client_id=client_id,
        token_id=said["jti"],
        issued_at=datetime.fromtimestamp(issued_at, UTC),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )
