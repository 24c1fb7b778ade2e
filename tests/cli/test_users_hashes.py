"""`auth-service users hashes`: kinds of hashes are counted as they verify, and the forecast says what it assumes."""

import asyncio
import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auth_service.services.passwords.stored_hashes import WINDOW, forecast
from tests.support.operator import Operator
from tests.support.sql import run_sql

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def django(salt: str, rounds: int = 1000) -> str:
    digest = hashlib.pbkdf2_hmac("sha256", b"x", salt.encode(), rounds)
    return f"pbkdf2_sha256${rounds}${salt}${b64encode(digest).decode()}"


def werkzeug(salt: str) -> str:
    return f"scrypt:16:8:1${salt}${hashlib.scrypt(b'x', salt=salt.encode(), n=16, r=8, p=1, dklen=64).hex()}"


HASHES: dict[str, list[str | None]] = {
    "pbkdf2_sha256 rounds=1000": [django("seasalt"), django("12345678"), django("a=b"), django("x" * 22)],
    "pbkdf2_sha256 rounds=2000": [django("seasalt", 2000)],
    "scrypt ln=4,r=8,p=1": [werkzeug("seasalt"), werkzeug("2b"), werkzeug("42")],
    "bcrypt rounds=4": ["$2b$04$" + "." * 53, "$2a$04$" + "/" * 21 + "." * 32],
    "pbkdf2_sha512 rounds=100000": [
        "AQAAAAIAAYagAAAAEAABAgMEBQYHCAkKCwwNDg/Q8A0WMKbtHQJQ2DHCdoEeeFBrgNlldq6vH4qX/CGqGQ==",
        "AQAAAAIAAYagAAAAEBBBAgMEBQYHCAkKCwwNDg/Q8A0WMKbtHQJQ2DHCdoEeeFBrgNlldq6vH4qX/CGqGQ==",
    ],
    "scrypt ln=14,r=16,p=1": ["0" * 32 + ":" + "a" * 128, "s2:" + "b" * 16 + ":" + "c" * 128],
    "phpass rounds=13": ["$P$B" + "a" * 30, "$P$B" + "b" * 30],
    "phpass rounds=11": ["$P$9" + "a" * 30],
    "drupal_sha512 rounds=15": ["$S$D" + "a" * 51, "$S$D" + "b" * 51],
    "sha512_crypt rounds=5000": [f"$6${letter * 16}${letter * 86}" for letter in "ab"],
    "ldap_salted_sha1": ["{SSHA}" + "a" * 32, "{SSHA}" + "b" * 32],
    "pbkdf2_sha1 rounds=185000": ["{pbkdf2}" + "a" * 80, "{pbkdf2}" + "b" * 80],
    "no password": [None, None],
}


@on_a_lasting_database
def test_hashes_are_counted_by_scheme_and_parameters_whatever_their_salts_look_like(
    database_url: str, tmp_path: Path
) -> None:
    operator = Operator(database_url, tmp_path)
    if database_url.startswith("sqlite"):
        operator.run("migrate")
    stored = [hashed for hashes in HASHES.values() for hashed in hashes]
    accounts = [{"email": f"user{n}@example.com", "hashed_password": hashed} for n, hashed in enumerate(stored)]
    operator.run("users", "import", "-", "--format", "jsonl", given="\n".join(map(json.dumps, accounts)))
    found = json.loads(operator.run("users", "hashes", "--json").stdout)
    assert {kind["recipe"]: kind["accounts"] for kind in found["kinds"]} == {
        recipe: len(hashes) for recipe, hashes in HASHES.items()
    }
    assert [kind["accounts"] for kind in found["kinds"]] == sorted(map(len, HASHES.values()), reverse=True)
    assert {kind["recipe"]: kind["state"] for kind in found["kinds"]}["no password"] == "none"
    assert (found["forecast"]["outdated"], found["forecast"]["verdict"][:13]) == (len(stored) - 2, "too early to ")
    printed = operator.run("users", "hashes").stdout
    assert f"{len(stored) - 2} outdated hashes remain; 0 were renewed" in printed
    assert "seasalt" not in printed + json.dumps(found)


async def test_a_hash_of_our_parameters_is_outdated_in_an_older_version_of_argon2_or_if_it_was_imported(
    tmp_path: Path,
) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/auth.db", tmp_path)
    await asyncio.to_thread(operator.run, "migrate")
    rest = f"m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA${'a' * 43}"
    accounts = [
        {"email": f"user{len(v)}@example.com", "hashed_password": f"$argon2id${v}{rest}"} for v in ("v=19$", "")
    ]
    words = ("users", "import", "-", "--format", "jsonl")
    await asyncio.to_thread(operator.run, *words, given="\n".join(map(json.dumps, accounts)))

    async def states() -> dict[str, int]:
        found = json.loads((await asyncio.to_thread(operator.run, "users", "hashes", "--json")).stdout)
        return {kind["state"]: kind["accounts"] for kind in found["kinds"]}

    assert await states() == {"outdated": 2}
    await run_sql(operator.url, "UPDATE users SET hashed_password = substr(hashed_password, 7)")  # as we write it
    assert await states() == {"current": 1, "outdated": 1}


def test_the_forecast_takes_the_same_share_day_after_day() -> None:
    found = forecast(500, 500, NOW - WINDOW, NOW)
    assert found.verdict == "at this rate"
    assert found.half_at == NOW + WINDOW, "half of those that there were went in four weeks"
    assert found.last_at is not None
    assert 8.9 < (found.last_at - NOW) / WINDOW < 9.1, "500 are halved nine times until less than one is left"


def test_the_forecast_says_when_it_cannot_tell_and_when_the_last_never_goes() -> None:
    day = timedelta(days=1)
    assert forecast(0, 7, NOW - WINDOW, NOW).verdict == "none is left"
    assert forecast(7, 0, NOW - WINDOW, NOW).verdict == "never at this rate"
    assert forecast(10**9, 1, NOW - WINDOW, NOW).verdict == "never at this rate"
    assert forecast(7, 7, NOW - day / 2, NOW).verdict.startswith("too early")
    assert forecast(1, 1, NOW - day, NOW).last_at == NOW + day
