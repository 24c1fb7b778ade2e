"""Access tokens: JWTs by RFC 9068, signed with ES256, checked by RFC 8725."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from jose import jws, jwt
from jose.backends.cryptography_backend import CryptographyECKey
from jose.exceptions import JOSEError, JWSError
from pydantic_core import to_json
from uuid_utils import uuid4

from auth_service.errors import Denial, InvalidAccessToken
from auth_service.models import SigningKey
from auth_service.security.keys import ALGORITHM, SecretKeys, base64url, open_signing_key
from auth_service.settings import MAX_ACCESS_LIFETIME

TYPE = "at+jwt"
MAX_CHARACTERS = 4096
# Three parts in base64url (RFC 7515, section 3.1), the last of 64 bytes, without padding and with zeros in the unused
# bits: the decoder underneath takes more, and one token shall have one spelling.
_FOURS = r"(?:[A-Za-z0-9_-]{4})*"
_PART = rf"{_FOURS}(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{{2}}[AEIMQUYcgkosw048])?"
_SHAPE = re.compile(rf"{_PART}\.{_PART}\.[A-Za-z0-9_-]{{85}}[AQgw]")
LATEST = 2**37  # seconds since 1970: in the year 6325, within what a datetime takes
_ROLE = re.compile(r"[!-~]+")
_CLIENT_ID = re.compile(r"[ -~]*")  # RFC 6749, appendix A.1
_HEADER_PARAMETERS = {"alg", "typ", "kid"}
# Not `require_exp`: it turns jose's own look at the expiry on again, by another clock and without our leeway.
_OPTIONS = {"verify_exp": False, "verify_nbf": False, "verify_at_hash": False} | {
    f"require_{claim}": True for claim in ("iat", "sub", "iss", "aud", "jti")
}


@dataclass(frozen=True)
class Signer:
    """The active key, its object built once: parsing a key for each token doubles the cost."""

    kid: str
    key: CryptographyECKey = field(repr=False)
    header: str
    """That of all its tokens, encoded."""


def signer_of(stored: SigningKey, secrets: SecretKeys) -> Signer:
    """Decrypt a stored key for signing; raises what `open_signing_key()` does."""
    key = CryptographyECKey(open_signing_key(stored, secrets), ALGORITHM)
    return Signer(stored.kid, key, base64url(to_json({"alg": ALGORITHM, "typ": TYPE, "kid": stored.kid})))


def verifier_of(public_jwk: Mapping[str, str]) -> CryptographyECKey:
    return CryptographyECKey(dict(public_jwk), ALGORITHM)


class Subject(NamedTuple):
    """Whom an access token is made for: a session of a user, and what was proved when (RFC 9068, section 2.2.1)."""

    user_id: UUID
    session_id: UUID
    role: str
    authenticated_at: datetime
    acr: str
    amr: str


@dataclass(frozen=True)
class Claims:
    """What a valid access token says about its bearer. Those of an older service say nothing of the sign-in."""

    user_id: UUID
    session_id: UUID
    role: str
    expires_at: int
    kid: str
    issued_at: int
    jti: str
    auth_time: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()

    @cached_property
    def ids(self) -> tuple[bytes, bytes]:
        """The ids of user and session as a header has them, made once: gateways ask about a token again and again."""
        return str(self.user_id).encode(), str(self.session_id).encode()

    def was_authenticated_within(self, seconds: float, now: float) -> bool:
        """Whether it is no longer than that since the sign-in at `now`, the database's time in seconds since 1970.

        Not if that is unknown, or comes after the token: then a clock was set back, and nobody knows how long it is.
        """
        if self.auth_time is None or self.auth_time > self.issued_at:
            return False
        return now - self.auth_time <= seconds


class IssuedToken(NamedTuple):
    """A new token, and for how many seconds it is good."""

    token: str
    expires_in: int


@dataclass(frozen=True)
class AccessTokens:
    """Issues and verifies access tokens of one issuer for one audience."""

    issuer: str
    audience: str
    client_id: str
    lifetime: timedelta
    leeway: timedelta

    def issue(self, signer: Signer, subject: Subject, now: datetime, seconds_left: int) -> IssuedToken:
        """Return a signed token that is valid from `now`, the database's time, for the lifetime, or for as long as its
        session is: no token outlives it.
        """
        issued_at = int(now.timestamp())
        seconds = min(int(self.lifetime.total_seconds()), seconds_left)
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(subject.user_id),
            "client_id": self.client_id,
            "sid": str(subject.session_id),
            "jti": str(uuid4()),
            "iat": issued_at,
            "exp": issued_at + seconds,
            "roles": [subject.role],
            "auth_time": int(subject.authenticated_at.timestamp()),
            "acr": subject.acr,
            "amr": subject.amr.split(),
        }
        signed = f"{signer.header}.{base64url(to_json(claims))}"  # `jws.sign` would encode the header for each token
        return IssuedToken(f"{signed}.{base64url(signer.key.sign(signed.encode()))}", seconds)

    def key_id(self, token: str) -> str:
        """Return the id of the key that the token says has signed it; raises `InvalidAccessToken`."""
        try:
            return _key_id(token)
        except (JOSEError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
            raise InvalidAccessToken(Denial.MALFORMED) from None

    def verify(self, token: str, keys: Mapping[str, CryptographyECKey], now: float) -> Claims:
        """Check header, signature and claims, in this order. `now` is the database's time in seconds since 1970.

        Raises:
            InvalidAccessToken: for every defect alike.
        """
        kid = self.key_id(token)
        if kid not in keys:
            raise InvalidAccessToken(Denial.UNKNOWN_KEY)
        try:
            claims = jwt.decode(token, keys[kid], [ALGORITHM], _OPTIONS, audience=self.audience, issuer=self.issuer)
            return self._bearer(claims, kid, now)
        except (
            JOSEError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            # Of a wrong signature, jose makes an error that may say anything, with this one behind it.
            is_forged = isinstance(error.__context__, JWSError)
            raise InvalidAccessToken(Denial.FORGED if is_forged else Denial.FOREIGN) from None

    def is_over(self, claims: Claims, now: float) -> bool:
        """Whether a token has expired at `now`, the database's time in seconds since 1970.

        To the second: the same clock said when it begins, so there is no leeway to give (RFC 7519, section 4.1.4).
        """
        return now >= claims.expires_at

    def _bearer(self, claims: Mapping[str, Any], kid: str, now: float) -> Claims:
        """What the claims say; raises TypeError or ValueError for what no token of ours says.

        The same rules as in `verifier/tokens.py`, which imports nothing of this.
        """
        expires_at, issued_at = claims["exp"], claims["iat"]
        not_before = claims.get("nbf", issued_at)
        if not all(type(time) is int for time in (expires_at, issued_at, not_before)):
            raise TypeError("exp, iat and nbf are integers")
        role, *_ = _roles(claims["roles"])
        user_id, session_id, jti = UUID(claims["sub"]), UUID(claims["sid"]), claims["jti"]
        auth_time, acr, amr = _authentication(claims)
        found = Claims(user_id, session_id, role, expires_at, kid, issued_at, jti, auth_time, acr, amr)
        if self.is_over(found, now):
            raise InvalidAccessToken(Denial.EXPIRED, found.user_id)
        if max(issued_at, not_before) > now + self.leeway.total_seconds():
            raise ValueError("not valid yet")
        if not 0 < expires_at - issued_at <= MAX_ACCESS_LIFETIME.total_seconds():
            raise ValueError("lives longer than any token of ours, or ends before it begins")
        if not _CLIENT_ID.fullmatch(claims["client_id"]) or not found.jti.isprintable():
            raise ValueError("could not stand in a header or a log, and add no line to it")
        return found


def _roles(listed: Any) -> list[str]:
    """The roles of a token, each of visible ASCII characters: one may become a header, which must stay one line."""
    if not isinstance(listed, list) or not all(isinstance(role, str) and _ROLE.fullmatch(role) for role in listed):
        raise TypeError("roles are a list of names")
    return listed


def _authentication(claims: Mapping[str, Any]) -> tuple[int | None, str | None, tuple[str, ...]]:
    """What is said of the sign-in: all three claims, or none in the token of an older service."""
    auth_time, acr, amr = (claims.get(name) for name in ("auth_time", "acr", "amr"))
    if auth_time is None and acr is None and amr is None:
        return None, None, ()
    if type(auth_time) is not int or not 0 <= auth_time < LATEST:
        raise TypeError("auth_time is a time in seconds")
    (acr,), (first, *more) = _roles([acr]), _roles(amr)
    return auth_time, acr, (first, *more)


def _key_id(token: str) -> str:
    """Return the `kid` of a token whose header is exactly ours, with no other parameter (RFC 8725, section 3.1)."""
    if len(token) > MAX_CHARACTERS or not _SHAPE.fullmatch(token):
        raise ValueError("not a token")
    header = jws.get_unverified_header(token)
    if set(header) != _HEADER_PARAMETERS or header["alg"] != ALGORITHM or header["typ"] != TYPE:
        raise ValueError("not our header")
    kid = header["kid"]
    if not isinstance(kid, str):
        raise TypeError("kid is a string")
    return kid
