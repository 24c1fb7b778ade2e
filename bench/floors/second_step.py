"""The one statement of a second step, or of a passkey, as PostgreSQL gets it, on the schema of the service."""

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from auth_service.security.factors.totp import STEP_SECONDS
from auth_service.security.keys import KEY_ID_BYTES
from auth_service.security.tokens.challenges import PREFIX

_CODE = """
    UPDATE factors SET last_step = $5::bigint, last_used_at = clock_timestamp() FROM account
    WHERE factors.id = $3 AND factors.user_id = account.id AND kind = 'totp' AND confirmed_at IS NOT NULL
      AND last_step < $5::bigint
    RETURNING factors.user_id
"""
_SIGNATURE = """
    UPDATE factors SET sign_count = $5::bigint, backed_up = true, last_used_at = clock_timestamp() FROM account
    WHERE factors.id = $3 AND factors.user_id = account.id AND kind = 'passkey'
      AND (sign_count < $5::bigint OR backup_eligible)
    RETURNING factors.user_id
"""
# The parameters are the id and the hashed secret of the session, its user, the challenge's digest, and the code's step
# or the signature's counter. An account of the bare application has the same id as its factor.
_OPEN = """
WITH account AS (
    SELECT id FROM users
    WHERE id = $3 AND credential_epoch = 0 AND is_active AND clock_timestamp() <= $6::timestamptz
      AND NOT EXISTS (SELECT FROM spent_challenges WHERE digest = $4)
    FOR SHARE
), code AS (CODE), challenge AS (
    INSERT INTO spent_challenges (digest, expires_at)
    SELECT $4, clock_timestamp() + interval '1 day' FROM code WHERE clock_timestamp() <= $6::timestamptz
    ON CONFLICT DO NOTHING RETURNING digest
), opened AS (
    INSERT INTO refresh_tokens (id, user_id, credential_epoch, secret_hash, user_agent, ip, acr, amr, generation,
                                rotations, created_at, last_used_at, expires_at, authenticated_at)
    SELECT $1::uuid, id, 0, $2::bytea, 'bench', '127.0.0.1', 'aal2', 'pwd otp mfa', 0, '{}', clock_timestamp(),
           clock_timestamp(), clock_timestamp() + interval '30 days', clock_timestamp()
    FROM users
    WHERE id = $3 AND credential_epoch = 0 AND is_active AND EXISTS (SELECT FROM challenge)
    FOR SHARE
    RETURNING id, user_id, generation, rotations, last_used_at, expires_at, authenticated_at, acr, amr, created_at
), recorded AS (
    INSERT INTO audit_events (id, at, event, user_id, session_id, ip, user_agent, request_id, details)
    SELECT uuidv7(), clock_timestamp(), 'login.succeeded', user_id, id, '127.0.0.1', 'bench', 'bench', '{}' FROM opened
)
SELECT *, 'user' AS role FROM opened
"""
OPEN, OPEN_BY_PASSKEY = _OPEN.replace("CODE", _CODE), _OPEN.replace("CODE", _SIGNATURE)
_USER = slice(KEY_ID_BYTES + 1, KEY_ID_BYTES + 17)
_AHEAD = timedelta(minutes=5)


def values_of(challenge: str) -> tuple[Any, ...]:
    """The parameters from the third on, for a code of now; nothing is checked."""
    packed, now = base64.urlsafe_b64decode(challenge.removeprefix(PREFIX) + "="), time.time()
    user, digest = UUID(bytes=packed[_USER]), hashlib.sha256(packed).digest()
    return user, digest, int(now) // STEP_SECONDS, datetime.fromtimestamp(now, UTC) + _AHEAD


def passkey_values_of(challenge: str, user: UUID) -> tuple[Any, ...]:
    """The same for a signature, of whichever user."""
    packed = base64.urlsafe_b64decode(challenge.removeprefix(PREFIX) + "=")
    return user, hashlib.sha256(packed).digest(), 0, datetime.now(UTC) + _AHEAD
