"""Hashes of one password as other systems make them, by their own code, with costs that suit a test."""

import base64
import hashlib
import hmac
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import argon2
import bcrypt
from django.contrib.auth import hashers as django
from passlib import hash as passlib
from werkzeug.security import generate_password_hash

from tests.support.client import PASSWORD

Maker = Callable[[str], str]
SIGNER_KEY = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
# By the npm package firebase-scrypt 2.2.0; the last is the sample of github.com/firebase/scrypt, with that signer key.
FIREBASE = {
    PASSWORD: "$firebase-scrypt$ln=10,r=4,ss=c2Vw$c2FsdHNhbHQ=$"
    "JmEr99JenNiZIQ+XCTXb646djLLLIHhOYu1Vq50E//7epudrMrWEy7v/q3jgBHqfrQPOzlI6LRuBjYYwZMFs8Q==",
    "p\u00e4ssw\u00f6rd \U0001f511 of other parameters": "$firebase-scrypt$ln=12,r=6$8J+UkQ8=$"
    "iaY2zq/u/wG3TdiPNMYsfpCle7ceMEY3Vxu3PpykID9suBbsyMQJ5oxNdcUgQox7Hq61AH6sWTGWiYc6bxTUpA==",
    "user1password": "$firebase-scrypt$ln=14,r=8,ss=Bw==$42xEC+ixf3L2lw==$"
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
}


def _django(hasher: Any, salt: str = "", **costs: Any) -> Maker:
    """A hasher of Django's, with other costs than its own."""
    vars(hasher).update(costs)
    return lambda password: str(hasher.encode(password, salt or hasher.salt()))


def _argon2(kind: argon2.Type = argon2.Type.ID, memory: int = 128, time: int = 1, lanes: int = 1) -> Maker:
    return argon2.PasswordHasher(memory_cost=memory, time_cost=time, parallelism=lanes, type=kind).hash


def bcrypt_hash(password: str) -> str:
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _raw_pbkdf2(password: str) -> str:
    """As somebody writes it who has the columns of a system of their own, which derives more than one block."""
    salt, length = b"\xfb\xff\x00 a salt", 64
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1000, length)
    return f"$pbkdf2-sha256$i=1000,l={length}${_base64(salt)}${_base64(digest)}"


def _raw_scrypt(password: str) -> str:
    salt = b"\xfb\xff\x00 a salt"
    digest = hashlib.scrypt(password.encode(), salt=salt, n=16, r=2, p=3, dklen=64)
    return f"$scrypt$ln=4,r=2,p=3${_base64(salt)}${_base64(digest)}"


BY_SYSTEM: dict[str, dict[str, Maker]] = {
    "Django": {
        "pbkdf2_sha256": _django(django.PBKDF2PasswordHasher(), iterations=1000),
        "pbkdf2_sha256, a salt of one's own": _django(django.PBKDF2PasswordHasher(), "s.a-l:t/\u00e9 =", iterations=1),
        "pbkdf2_sha1": _django(django.PBKDF2SHA1PasswordHasher(), iterations=1000),
        "argon2": _django(django.Argon2PasswordHasher(), memory_cost=128),
        "bcrypt_sha256": _django(django.BCryptSHA256PasswordHasher(), rounds=4),
        "bcrypt": _django(django.BCryptPasswordHasher(), rounds=4),
        "scrypt": _django(django.ScryptPasswordHasher(), work_factor=16),
        "scrypt, a salt of digits": _django(django.ScryptPasswordHasher(), "16384", work_factor=16, block_size=2),
    },
    "Werkzeug": {
        "scrypt": lambda password: generate_password_hash(password, "scrypt:1024:8:1"),
        "scrypt, other parameters": lambda password: generate_password_hash(password, "scrypt:1024:4:5", 4),
        "pbkdf2:sha256": lambda password: generate_password_hash(password, "pbkdf2:sha256:1000"),
        "pbkdf2:sha512": lambda password: generate_password_hash(password, "pbkdf2:sha512:1000"),
        "pbkdf2:sha1": lambda password: generate_password_hash(password, "pbkdf2:sha1:1000"),
    },
    "passlib": {
        "pbkdf2_sha1": passlib.pbkdf2_sha1.using(rounds=1000).hash,
        "pbkdf2_sha256": passlib.pbkdf2_sha256.using(rounds=1000).hash,
        "pbkdf2_sha512": passlib.pbkdf2_sha512.using(rounds=1000).hash,
        "scrypt": passlib.scrypt.using(rounds=4).hash,
        "scrypt $7$": passlib.scrypt.using(rounds=4, ident="$7$").hash,
        "bcrypt_sha256": passlib.bcrypt_sha256.using(rounds=4).hash,
        "bcrypt_sha256, version 1": passlib.bcrypt_sha256.using(rounds=4, version=1).hash,
        "argon2": lambda password: str(passlib.argon2.using(memory_cost=128, rounds=1, parallelism=2).hash(password)),
    },
    "bcrypt": {
        "$2b$": bcrypt_hash,
        "$2a$": lambda password: bcrypt_hash(password).replace("$2b$", "$2a$"),
        "$2a$, bits in the salt that mean nothing": lambda password: (
            bcrypt.hashpw(password.encode(), b"$2a$04$bbbbbbbbbbbbbbbbbbbbb.").decode().replace("b.", "b/", 1)
        ),
        "$2y$ of PHP": lambda password: bcrypt_hash(password).replace("$2b$", "$2y$"),
    },
    "argon2": {
        "argon2i": _argon2(argon2.Type.I),
        "argon2d": _argon2(argon2.Type.D),
        "argon2id, other parameters": _argon2(),
        "argon2id, stronger parameters": _argon2(memory=1024, time=3, lanes=2),
    },
    "raw": {"PBKDF2": _raw_pbkdf2, "scrypt": _raw_scrypt},
    "Firebase": {"scrypt": FIREBASE.__getitem__},
}

PEPPER = "the pepper of another system"


def _prepared(prefix: str, prepare: Callable[[bytes], bytes]) -> Maker:
    return lambda password: (
        prefix + bcrypt.hashpw(prepare(password.encode())[:72], bcrypt.gensalt(4, b"2a" if prefix else b"2b")).decode()
    )


# Passwords, and hashes of them that the named program made or that are in its own tests; some with a pepper.
PUBLISHED: list[dict[str, str]] = [
    json.loads(line) for line in (Path(__file__).parent / "published_hashes.jsonl").read_text("utf-8").splitlines()
]


def _respelled(hashed: str, *, padded: bool = True, order: str = "tpm", version: bool = True) -> str:
    """An Argon2 hash as another program writes it."""
    _, kind, written, parameters, *parts = hashed.split("$")
    given = {pair[0]: pair for pair in parameters.split(",")}
    if padded:
        parts = [part + "=" * (-len(part) % 4) for part in parts]
    return "$".join(["", kind, *([written] if version else []), ",".join(given[name] for name in order), *parts])


def _lucia(prefix: str, salt: str, block_size: int) -> Maker:
    """Lucia 1 and 2, by the lines of their validateScryptHash."""

    def make(password: str) -> str:
        normal = unicodedata.normalize("NFKC", password).encode()
        key = hashlib.scrypt(normal, salt=salt.encode(), n=16384, r=block_size, p=1, maxmem=1 << 26, dklen=64)
        return f"{prefix}{salt}:{key.hex()}"

    return make


def _short(name: str, size: int) -> Maker:
    def make(password: str) -> str:
        digest = hashlib.pbkdf2_hmac(name, password.encode(), b"salt", 1000, size)
        return f"$pbkdf2-{name}$i=1000,l={size}${_base64(b'salt')}${_base64(digest)}"

    return make


BY_SYSTEM |= {
    "Argon2 as others write it": {
        "padded": lambda password: _respelled(_argon2(memory=256)(password), order="mtp"),
        "another order": lambda password: _respelled(_argon2(memory=256)(password), padded=False),
        "both, Argon2i": lambda password: _respelled(_argon2(argon2.Type.I)(password), order="ptm"),
        "our own parameters": _argon2(memory=64),
        "of Spring": lambda password: "{argon2@SpringSecurity_v5_8}" + _argon2(memory=256)(password),
        "of Dovecot": lambda password: "{ARGON2ID}" + _argon2(memory=256)(password),
    },
    "Lucia 1 and 2": {"s2": _lucia("s2:", "abcdefghij012345", 16), "before": _lucia("", "abcdefghij012345", 8)},
    "digests that are cut": {name: _short(name, 16) for name in ("sha1", "sha256")} | {"sha512": _short("sha512", 32)},
    "Meteor": {"bcrypt": _prepared("{meteor}", lambda password: hashlib.sha256(password).hexdigest().encode())},
    "Devise with a pepper": {"bcrypt": _prepared("{devise}", lambda password: password + PEPPER.encode())},
    "WordPress": {
        "6.8": lambda password: (
            "$wp" + bcrypt.hashpw(
                base64.b64encode(hmac.digest(b"wp-sha384", password.encode(), "sha384")), bcrypt.gensalt(4)
            ).decode().replace("$2b$", "$2y$")
        ),
    },
}  # fmt: skip
