"""The strict check of one token: its form, its header, its signature and its claims. No input, no output."""

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt

from auth_service.verifier.claims import Claims
from auth_service.verifier.errors import InvalidToken
from auth_service.verifier.urls import is_name, plain_url

ALGORITHM = "ES256"
TYPE = "at+jwt"
MAX_CHARACTERS = 4096
LONGEST_LIFE = 600  # seconds; the service issues none that lives longer
LATEST = 2**37  # seconds since 1970: in the year 6325, within what a datetime takes
# Three parts (RFC 7515, section 3.1), the last one 64 bytes in their only spelling: a token has few valid variants.
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]")
_REQUIRED = ["exp", "iat", "sub", "sid", "iss", "aud", "jti", "client_id", "roles"]
_NAME = re.compile(r"[!-~]+")
_CLIENT_ID = re.compile(r"[ -~]*")  # RFC 6749, appendix A.1
_DEFECTS = (jwt.InvalidTokenError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)


class TokenCheck:
    """What a token must say; issuer and audience in any spelling of a URL, or as the operator set others.

    Args:
        leeway: in seconds.

    Raises:
        ValueError: no service can have such an issuer or audience.
    """

    def __init__(self, issuer: str, audience: str, leeway: float) -> None:
        self.leeway = leeway
        self.issuers = issuer, _spelled("issuer", issuer)
        # As it is, it may be a URL with a query, which no issuer has (RFC 8707, section 2).
        self.audiences = audience, _spelled("audience", audience, audience if is_name(audience) else None)

    def key_id(self, token: str) -> str:
        """Return the `kid` of a token whose header is exactly the service's, with no other parameter.

        Raises:
            InvalidToken: any other form or header (RFC 8725, sections 3.1 and 3.11).
        """
        form = _FORM.fullmatch(token) if len(token) <= MAX_CHARACTERS else None
        if form is None:
            raise InvalidToken("not a signed token")
        try:
            header = json.loads(base64.urlsafe_b64decode(form[1] + "=" * (-len(form[1]) % 4)).decode())
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
            said = _READER.decode(
                token, key, [ALGORITHM], {"require": _REQUIRED},
                audience=self.audiences, issuer=self.issuers, leeway=self.leeway,
            )  # fmt: skip
            return _claims(said)
        except _DEFECTS as defect:
            raise InvalidToken(type(defect).__name__) from None


def _spelled(which: str, text: str, otherwise: str | None = None) -> str:
    """A URL as tokens have it; if it is none, what is given for that."""
    try:
        return plain_url(text)
    except ValueError as error:
        if otherwise:
            return otherwise
        raise ValueError(f"the {which} must be that of the auth service: it {error}") from None


class _Reader(jwt.PyJWT):
    """Claims are in UTF-8 (RFC 7519, section 7.2); of bytes, `json.loads` reads UTF-16 and UTF-32 too."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        return super()._decode_payload({**decoded, "payload": decoded["payload"].decode()})


_READER = _Reader()


def _claims(said: Mapping[str, Any]) -> Claims:
    """Give the claims their types; raises TypeError or ValueError for one that has another.

    The same rules as the service's own, in its `security/tokens/claims.py`.
    """
    issued_at, expires_at = said["iat"], said["exp"]
    if not all(type(time) is int for time in (issued_at, expires_at, said.get("nbf", issued_at))):
        raise TypeError("iat, exp and nbf are integers")
    if not 0 < expires_at - issued_at <= LONGEST_LIFE:
        raise ValueError("lives longer than any token of the service, or ends before it begins")
    if not _CLIENT_ID.fullmatch(said["client_id"]) or not said["jti"].isprintable():
        raise ValueError("client_id or jti could not stand in a header or a log, and add no line to it")
    auth_time, acr, amr = _authentication(said)
    return Claims(
        user_id=UUID(said["sub"]),
        session_id=UUID(said["sid"]),
        roles=_names(said["roles"]),
        client_id=said["client_id"],
        token_id=said["jti"],
        issued_at=datetime.fromtimestamp(issued_at, UTC),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
        auth_time=auth_time,
        acr=acr,
        amr=amr,
    )


def _authentication(said: Mapping[str, Any]) -> tuple[datetime | None, str | None, tuple[str, ...]]:
    """What is said of the sign-in (RFC 9068, section 2.2.1): all three claims, or none by an older service."""
    auth_time, acr, amr = (said.get(name) for name in ("auth_time", "acr", "amr"))
    if auth_time is None and acr is None and amr is None:
        return None, None, ()
    if type(auth_time) is not int or not 0 <= auth_time < LATEST:
        raise TypeError("auth_time is a time in seconds")
    (acr,) = _names([acr])
    return datetime.fromtimestamp(auth_time, UTC), acr, _names(amr)


def _names(listed: Any) -> tuple[str, ...]:
    if not isinstance(listed, list) or not listed or not all(_NAME.fullmatch(name) for name in listed):
        raise TypeError("roles and amr are lists of names, at least one, and acr is a name")
    return tuple(listed)
