"""`auth-service users hashes`: kinds of hashes are counted as they verify, and the forecast says what it assumes."""

import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auth_service.services.passwords.stored_hashes import WINDOW, forecast
from tests.support.operator import Operator

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
    assert [kind["accounts"] for kind in found["kinds"]] == [4, 3, 2, 2, 1]
    assert {kind["recipe"]: kind["state"] for kind in found["kinds"]}["no password"] == "none"
    assert (found["forecast"]["outdated"], found["forecast"]["verdict"][:13]) == (10, "too early to ")
    printed = operator.run("users", "hashes").stdout
    assert "10 outdated hashes remain; 0 were renewed" in printed
    assert "seasalt" not in printed + json.dumps(found)


def test_a_hash_of_our_parameters_in_an_older_version_of_argon2_is_outdated(tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/auth.db", tmp_path)
    operator.run("migrate")
    rest = f"m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA${'a' * 43}"
    accounts = [
        {"email": f"user{len(v)}@example.com", "hashed_password": f"$argon2id${v}{rest}"} for v in ("v=19$", "")
    ]
    operator.run("users", "import", "-", "--format", "jsonl", given="\n".join(map(json.dumps, accounts)))
    found = json.loads(operator.run("users", "hashes", "--json").stdout)
    assert sorted(kind["state"] for kind in found["kinds"]) == ["current", "outdated"]


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
