"""The hashes of other systems and of other days: they sign in once more and are then ours; the unreadable never do."""

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import Callable

import argon2
import asyncpg
import bcrypt
import pytest
from passlib.hash import pbkdf2_sha256, pbkdf2_sha512, scrypt

from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

on_one_database = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

CURRENT = re.compile(
    r"\$argon2id\$v=19\$m=64,t=1,p=1\$([A-Za-z0-9+/]+)\$[A-Za-z0-9+/]+"
)  # as tests/conftest.py sets it
SALT = "seasaltseasaltseasalt1"


def _django_pbkdf2(password: str) -> str:
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT.encode(), 1000)
    return f"pbkdf2_sha256$1000${SALT}${base64.b64encode(digest).decode()}"


def _django_bcrypt_sha256(password: str) -> str:
    return "bcrypt_sha256$" + _bcrypt(hashlib.sha256(password.encode()).hexdigest())


def _bcrypt(password: str) -> str:
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()


def _argon2(password: str, memory: int = 128, time: int = 1, lanes: int = 1) -> str:
    return argon2.PasswordHasher(memory_cost=memory, time_cost=time, parallelism=lanes).hash(password)


LEGACY: dict[str, Callable[[str], str]] = {
    "bcrypt": _bcrypt,
    "bcrypt $2a$": lambda password: _bcrypt(password).replace("$2b$", "$2a$"),
    "bcrypt $2y$ of PHP": lambda password: _bcrypt(password).replace("$2b$", "$2y$"),
    "pbkdf2-sha256": pbkdf2_sha256.using(rounds=1000).hash,
    "pbkdf2-sha512": pbkdf2_sha512.using(rounds=1000).hash,
    "scrypt": scrypt.using(rounds=4).hash,
    "argon2id, other parameters": _argon2,
    "argon2id, stronger parameters": lambda password: _argon2(password, 1024, 3, 2),
    "Django pbkdf2": _django_pbkdf2,
    "Django argon2": lambda password: "argon2" + _argon2(password, lanes=8),
    "Django bcrypt": lambda password: "bcrypt$" + _bcrypt(password),
    "Django bcrypt-sha256": _django_bcrypt_sha256,
}
UNREADABLE = [
    "", "!", "plain text", "x" * 512, "\u00e4\u20ac", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$$",
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "$argon2id$v=99$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
    "$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
    "$2b$12$short", "$2b$99$" + "." * 53, "$pbkdf2-sha256$0$c2FsdA$aGFzaA", "$pbkdf2-sha256$x$y$z",
    "$scrypt$ln=99,r=8,p=1$c2FsdA$aGFzaA", "pbkdf2_sha256$$$", "argon2$argon2id$", "bcrypt$$2b$12$x", "md5$x$y",
]  # fmt: skip


async def stored_hash(url: str) -> str:
    ((found,),) = await run_sql(url, "SELECT hashed_password FROM users")
    return str(found)


async def store_hash(url: str, hashed: str) -> None:
    await run_sql(url, "UPDATE users SET hashed_password = $1", hashed)


@on_one_database
@pytest.mark.parametrize("scheme", LEGACY)
async def test_a_hash_of_another_system_signs_in_once_and_is_then_ours(
    ada: Client, database_url: str, scheme: str
) -> None:
    await store_hash(database_url, LEGACY[scheme](PASSWORD))
    assert (await ada.login(password=PASSWORD + "!")).status_code == 401
    assert not CURRENT.fullmatch(await stored_hash(database_url))
    assert (await ada.login()).status_code == 200
    replaced = await stored_hash(database_url)
    assert CURRENT.fullmatch(replaced)
    assert (await ada.login()).status_code == 200
    assert (await ada.login(password=PASSWORD + "!")).status_code == 401
    assert await stored_hash(database_url) == replaced


@on_one_database
@pytest.mark.parametrize("scheme", ["bcrypt", "Django bcrypt"])
async def test_a_bcrypt_hash_of_a_long_password_signs_in_and_then_covers_all_of_it(
    ada: Client, database_url: str, scheme: str
) -> None:
    long = "a" * 72 + "the rest that bcrypt never saw"
    await store_hash(database_url, LEGACY[scheme](long))
    assert (await ada.login(password="a" * 71 + "b" + long[72:])).status_code == 401
    assert (await ada.login(password=long)).status_code == 200
    assert CURRENT.fullmatch(await stored_hash(database_url))
    assert (await ada.login(password=long)).status_code == 200
    assert (await ada.login(password=long[:-1])).status_code == 401


@on_one_database
@pytest.mark.parametrize("hashed", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_a_stored_hash_that_cannot_be_read_is_a_401(ada: Client, database_url: str, hashed: str) -> None:
    await store_hash(database_url, hashed)
    for password in (PASSWORD, "x" * 100, hashed or "x"):
        assert_problem(await ada.login(password=password), 401, "invalid-credentials")
    assert await stored_hash(database_url) == hashed


@on_postgresql
async def test_ten_logins_at_once_move_on_from_an_outdated_hash(ada: Client, database_url: str) -> None:
    await store_hash(database_url, _bcrypt(PASSWORD))
    answers = await asyncio.gather(*(ada.login() for _ in range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert CURRENT.fullmatch(await stored_hash(database_url))
    assert (await ada.login()).status_code == 200


@on_postgresql
async def test_a_row_that_is_locked_neither_fails_nor_delays_a_login_with_an_outdated_hash(
    make_client: MakeClient, database_url: str
) -> None:
    ada = await make_client(database={"statement_timeout": 30})  # a login that waited would wait for 10 seconds
    await ada.register("ada@example.com")
    outdated = _bcrypt(PASSWORD)
    await store_hash(database_url, outdated)
    holder = await asyncpg.connect(database_url)
    try:
        async with holder.transaction():
            await holder.execute("SELECT * FROM users FOR SHARE")
            started = time.monotonic()
            assert (await ada.login()).status_code == 200
            assert time.monotonic() - started < 5
        assert await stored_hash(database_url) == outdated
    finally:
        await holder.close()
    assert (await ada.login()).status_code == 200
    assert CURRENT.fullmatch(await stored_hash(database_url))
