"""Access tokens: JWTs by RFC 9068, signed with ES256, checked by RFC 8725."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from jose import jws, jwt
from jose.backends.cryptography_backend import CryptographyECKey
from jose.exceptions import JOSEError, JWSError
from pydantic_core import to_json
from uuid_utils import uuid4

from auth_service.errors import Denial, InvalidAccessToken
from auth_service.models import SigningKey
from auth_service.security.keys import SecretKeys, base64url
from auth_service.security.signing_keys import ALGORITHM, open_signing_key
from auth_service.security.tokens.claims import Claims, Subject, read_claims

TYPE = "at+jwt"
MAX_CHARACTERS = 4096
# Three parts in base64url (RFC 7515, section 3.1), the last of 64 bytes, without padding and with zeros in the unused
# bits: the decoder underneath takes more, and one token shall have one spelling.
_FOURS = r"(?:[A-Za-z0-9_-]{4})*"
_PART = rf"{_FOURS}(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{{2}}[AEIMQUYcgkosw048])?"
_SHAPE = re.compile(rf"{_PART}\.{_PART}\.[A-Za-z0-9_-]{{85}}[AQgw]")
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
            return read_claims(claims, kid, now, self.leeway)
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
