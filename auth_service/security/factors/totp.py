"""Codes of authenticator apps (TOTP, RFC 6238: SHA-1, six digits, thirty seconds), and their secrets, sealed."""

import base64
import hmac
import re
import secrets
from datetime import datetime
from uuid import UUID

import pyotp

from auth_service.security.keys import SecretKeys, seal, unseal

SECRET_BYTES = 20  # as many as SHA-1 gives (RFC 4226, section 4, R6)
STEP_SECONDS = 30
STEPS_EITHER_SIDE = 1  # for clocks that differ, and for a code that is sent on its last second (RFC 6238, section 5.2)

_CODE = re.compile(r"[0-9]{3} ?[0-9]{3}")


def new_totp_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def read_totp_code(code: str) -> str | None:
    """Return the six digits, which apps show in two groups; None if it is no such code."""
    return code.replace(" ", "") if _CODE.fullmatch(code) else None


def find_step(secret: bytes, code: str, now: datetime) -> int | None:
    """Return the time step, of this one and its neighbours at `now`, that six digits are the code of; None if of none.

    All are compared in any case, so that the time tells nothing.
    """
    codes, current = pyotp.HOTP(base32(secret)), int(now.timestamp()) // STEP_SECONDS
    steps = range(max(0, current - STEPS_EITHER_SIDE), current + STEPS_EITHER_SIDE + 1)
    found = [step for step in steps if hmac.compare_digest(codes.at(step), code)]
    return found[-1] if found else None


def otpauth_uri(secret: bytes, issuer: str, account: str) -> str:
    """Return the URI that apps read from a QR code."""
    return pyotp.TOTP(base32(secret)).provisioning_uri(name=account, issuer_name=issuer)


def base32(secret: bytes) -> str:
    """Return a secret as people type it into an app."""
    return base64.b32encode(secret).decode()


def seal_totp_secret(secret: bytes, factor_id: UUID, keys: SecretKeys) -> tuple[bytes, str]:
    """Return the secret as it is stored, bound to its factor, and the id of the secret key that it is sealed under."""
    return seal(keys.newest.factors, secret, factor_id.bytes), keys.newest.id.hex()


def open_totp_secret(sealed: bytes, secret_id: str, factor_id: UUID, keys: SecretKeys) -> bytes | None:
    """Return the secret, or None if it is sealed under a secret key that is not listed, or is not that factor's."""
    try:
        found = keys.find_by_id(bytes.fromhex(secret_id))
    except ValueError:
        return None
    return unseal(found.factors, sealed, factor_id.bytes) if found else None
