"""What verifying a hash costs, told from its parameters, and how much is too much.

A bound of each kind, so that no stored hash keeps a thread of the lane for more than about two seconds (on a core of an
AMD EPYC), or needs memory that several threads could not have at once.
"""

from typing import Any

MOST_KIB = 256 * 1024
MOST_WRITTEN_KIB = 1024 * 1024  # memory, as often as it is gone over
MOST_THREADS = 64
MOST_ROUNDS = 3_000_000  # of PBKDF2
MOST_BCRYPT = 14  # each one more doubles the time
MOST_PHPASS = 18  # here too
MOST_CRYPT = 700_000  # rounds of SHA-256 or SHA-512 in crypt
_SCRYPT_TOLL = 2  # it goes over its memory twice, once to write and once to read
_LETTERS = {"memory_cost": "m", "block_size": "r", "parallelism": "p"}
_MOST_ROUNDS = {
    "bcrypt": (MOST_BCRYPT, "The cost of a bcrypt hash"),
    "pbkdf2": (MOST_ROUNDS, "The iterations of a PBKDF2 hash"),
    "phpass": (MOST_PHPASS, "The cost of a phpass hash"),
    "drupal": (MOST_PHPASS, "The cost of a Drupal hash"),
    "sha256_crypt": (MOST_CRYPT, "The rounds of a crypt hash"),
    "sha512_crypt": (MOST_CRYPT, "The rounds of a crypt hash"),
}
# `rounds` for the others; bcrypt's are a logarithm too
_ROUNDS = {"argon2": "t", "scrypt": "ln", "firebase_scrypt": "ln"}


def recipe(parsed: Any) -> str:
    """Return the scheme and the parameters of a parsed hash: `argon2id t=2,m=19456,p=1`, `bcrypt rounds=12`."""
    scheme = parsed.name
    letters = {"rounds": _ROUNDS.get(scheme, "rounds"), **_LETTERS}
    parameters = [f"{letter}={getattr(parsed, name)}" for name, letter in letters.items() if hasattr(parsed, name)]
    return f"{scheme}{parsed.type if scheme == 'argon2' else ''} {','.join(parameters)}".rstrip()


def refuse_too_dear(parsed: Any, own_kib: int, own_written_kib: int) -> None:
    """Raise ValueError, with the bound, for a hash that may not be taken in; our own settings are never too dear."""
    if parsed.name == "argon2":
        written = parsed.memory_cost * parsed.rounds
        _refuse_above(MOST_THREADS, parsed.parallelism, "The parallelism of an Argon2 hash")
        _refuse_above(max(MOST_KIB, own_kib), parsed.memory_cost, "The memory of an Argon2 hash, in KiB,")
        _refuse_above(max(MOST_WRITTEN_KIB, own_written_kib), written, "The product m * t of an Argon2 hash")
    elif "scrypt" in parsed.name:
        n, r, p = 1 << parsed.rounds, parsed.block_size, parsed.parallelism
        _refuse_above(MOST_KIB, (n + p) * r // 8, "The memory of a scrypt hash, in KiB,")
        _refuse_above(MOST_WRITTEN_KIB, _SCRYPT_TOLL * n * r * p // 8, "The product N * r * p / 4 of a scrypt hash")
    for family, (most, what) in _MOST_ROUNDS.items():
        if family in parsed.name:
            _refuse_above(most, parsed.rounds, what)


def _refuse_above(most: int, found: int, what: str) -> None:
    if found > most:
        raise ValueError(f"{what} may be at most {most}.")
