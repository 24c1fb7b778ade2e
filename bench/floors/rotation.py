"""The one statement of a refresh as PostgreSQL gets it, and rows for it, on the service's own schema."""

SESSIONS = 40  # of the bare application, and as many clients at most in pgbench
# The parameters are a session's secret (hashed here or there), its generation, how long a session may be idle, and the
# grace: without one, every turn of a loop rotates.
ROTATE = """
UPDATE refresh_tokens
SET generation = {generation}::bigint + 1,
    rotations = (array_fill(clock_timestamp(), ARRAY[({generation}::bigint - generation + 1)::int]) || rotations)[1:
        CASE WHEN rotations[5] > clock_timestamp() - {grace}::interval THEN 63 ELSE 8 END],
    idempotency_spent = true,
    rotated_to = {generation}::bigint + 1,
    rotated_user_agent = 'bench',
    rotated_ip = '127.0.0.1',
    earlier_used_at = CASE WHEN last_used_at < date_trunc('hour', clock_timestamp(), 'UTC') THEN last_used_at
                           ELSE earlier_used_at END,
    last_used_at = clock_timestamp()
FROM users AS u
WHERE secret_hash = {secret_hash}
  AND generation BETWEEN {generation}::bigint - 3 AND {generation}::bigint
  AND revoked_at IS NULL
  AND (rotations[60] > clock_timestamp() - {grace}::interval AND rotations[60] <= clock_timestamp()) IS NOT TRUE
  AND expires_at > clock_timestamp()
  AND last_used_at > clock_timestamp() - {idle}::interval
  AND u.id = user_id AND u.is_active AND u.credential_epoch = refresh_tokens.credential_epoch
RETURNING refresh_tokens.id, user_id, generation, CASE WHEN rotations[1] = rotations[2] THEN rotations[1:4] END,
          last_used_at, expires_at, authenticated_at, acr, amr, refresh_tokens.created_at, u.role
"""
PREPARED = ROTATE.format(generation="$1", secret_hash="$2", idle="$3", grace="$4")
# A client of pgbench keeps its session's generation in a variable of its own.
PGBENCH = (
    " ".join(
        ROTATE.format(
            generation=":generation", secret_hash="sha256(int8send(:client_id))", idle="'14 days'", grace="'0'"
        ).split()
    )
    + ";\n\\set generation :generation + 1\n"
)

# Sessions whose secrets are the numbers 0 to 39, all of them at generation 0.
SEED = f"""
TRUNCATE refresh_tokens, users CASCADE;
INSERT INTO users (id, email, email_canonical, hashed_password, role, is_active, is_verified, credential_epoch,
                   created_at, updated_at)
SELECT uuidv7(), 'floor' || number, 'floor' || number, 'none', 'user', true, true, 0, now(), now()
FROM generate_series(0, {SESSIONS - 1}) AS number;
INSERT INTO refresh_tokens (id, user_id, credential_epoch, secret_hash, generation, rotations, created_at, last_used_at,
                            expires_at, user_agent, ip)
SELECT uuidv7(), users.id, 0, sha256(int8send(substr(users.email, 6)::bigint)), 0, '{{}}', now(), now(),
       now() + interval '30 days', 'bench', '127.0.0.1'
FROM users;
"""


def token(secret: int, generation: int) -> str:
    """A refresh token of the bare application: no more than what the statement needs, in hex."""
    return f"{secret:016x}.{generation}"
