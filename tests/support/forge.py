"""Makes access tokens without the service's own code: an attacker's, or, with its private key, a faulty issuer's."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from auth_service.models import SigningKey
from auth_service.security.keys import SecretKeys
from auth_service.security.signing_keys import open_signing_key
from tests.conftest import SECRET
from tests.support.client import Client
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

MISSING: Any = object()
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

WRONG_ALGORITHMS: list[object] = [
    "none", "nOnE", "NONE", "", "HS256", "HS512", "RS256", "PS256", "ES384", "ES256K", "EdDSA", "es256", None, 1, [],
]  # fmt: skip
WRONG_KIDS: list[object] = [
    "unknown", "", "../../../../dev/null", "/etc/passwd", "' OR '1'='1", "x' UNION SELECT '", "\x00", 1, None, [], {},
]  # fmt: skip
EXTRA_PARAMETERS: list[dict[str, Any]] = [
    {"crit": ["x"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"x5u": "https://evil.test/x.pem"},
    {"jku": "https://evil.test/jwks.json"}, {"x5c": ["MIIB"]}, {"x5t": "x"}, {"zip": "DEF"}, {"cty": "JWT"},
]  # fmt: skip


@dataclass(frozen=True)
class Forge:
    """A valid token, taken apart, and the key that signed it."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    header: dict[str, Any]
    claims: dict[str, Any]

    def signed(self, header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, **other: Any) -> str:
        """A token like the valid one but for these changes, signed by the service's key or another one (`key`)."""
        content = unsigned(_changed(self.header, header), _changed(self.claims, claims))
        return f"{content}.{b64(sign(content, other.get('key', self.key)))}"


async def open_forge(url: str, token: str) -> Forge:
    """Open the stored key with the tests' secret, and take a token apart."""
    columns = "SELECT kid, private_key, secret_id, public_jwk FROM signing_keys"
    ((kid, private_key, secret_id, jwk),) = await run_sql(url, columns)
    stored = SigningKey(
        kid=kid, algorithm="ES256", public_jwk=json.loads(jwk), private_key=private_key, secret_id=secret_id,
        state="active", created_at=datetime.now(UTC),
    )  # fmt: skip
    return Forge(open_signing_key(stored, SecretKeys([SECRET])), part(token, 0), part(token, 1))


def part(token: str, number: int) -> Any:
    return json.loads(base64.urlsafe_b64decode(token.split(".")[number] + "=="))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: Any, claims: Any) -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"


def sign(content: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """ES256 (RFC 7518, section 3.4)."""
    r, s = decode_dss_signature(key.sign(content.encode(), ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def mirrored(token: str) -> str:
    """The same token with its other valid signature, (r, n - s)."""
    content, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    s = P256_ORDER - int.from_bytes(raw[32:], "big")
    return f"{content}.{b64(raw[:32] + s.to_bytes(32, 'big'))}"


def signed_with_text(content: str, text: bytes) -> str:
    """HS256 under a text that is no secret, such as a public key."""
    return f"{content}.{b64(hmac.digest(text, content.encode(), hashlib.sha256))}"


async def refused(client: Client, token: str | bytes, code: str = "invalid-access-token") -> None:
    """Present a token and require the 401 that every defect gets, without an echo."""
    raw = token if isinstance(token, bytes) else token.encode()
    answer = await client.get("/auth/me", headers={b"Authorization": b"Bearer " + raw})
    assert_problem(answer, 401, code)
    assert len(raw) < 20 or raw not in answer.content


def _changed(values: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in {**values, **(changes or {})}.items() if value is not MISSING}
