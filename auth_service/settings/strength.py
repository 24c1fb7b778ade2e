"""Which secrets are too weak to start with: short, repetitive, or copied from an example."""

SECRET_MIN_BYTES = 32
SECRET_MIN_DISTINCT = 10
TOKEN_MIN_BYTES = 16
TOKEN_MIN_DISTINCT = 6
# What examples hold, ours too. Each is long enough not to stand in random base64 by chance.
SAMPLES = (
    "changeme", "change-me", "change_me", "replace-me", "replaceme", "replace_me", "example", "your-secret",
    "your_secret", "yoursecret", "insecure", "password", "secret-key", "secret_key", "secretkey", "choose-", "openssl",
    "correct horse",
)  # fmt: skip

# Passwords of databases that stand in pages, images and tutorials.
DATABASE_SAMPLES = frozenset({
    "password", "passwd", "pass", "passw0rd", "pw", "secret", "changeme", "change-me", "change_me", "changeit",
    "example", "postgres", "postgresql", "pgpassword", "mysecretpassword", "admin", "root", "test", "user", "auth",
    "your-password", "your_password", "yourpassword", "1234", "12345", "123456", "12345678", "qwerty",
})  # fmt: skip


def is_sample_password(password: str, user: str | None) -> bool:
    """Whether a password of a database is one that everybody tries first."""
    return password.casefold() in DATABASE_SAMPLES or password == user


def is_weak_secret(secret: str) -> bool:
    """Whether keys may not be derived from this."""
    return len(secret.encode()) < SECRET_MIN_BYTES or len(set(secret)) < SECRET_MIN_DISTINCT or _is_sample(secret)


def is_weak_token(token: str) -> bool:
    """Whether this may not guard an inner route; a header carries visible ASCII only."""
    visible = token.isascii() and token.isprintable() and " " not in token
    return not visible or len(token) < TOKEN_MIN_BYTES or len(set(token)) < TOKEN_MIN_DISTINCT or _is_sample(token)


def _is_sample(secret: str) -> bool:
    folded = secret.casefold()
    repeats_itself = secret in (secret + secret)[1:-1]
    return repeats_itself or any(sample in folded for sample in SAMPLES)
