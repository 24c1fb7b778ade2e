"""The password policy, and that a password is compared exactly as it was chosen."""

import base64
import re

import pytest

from auth_service.settings import PasswordSettings
from tests.conftest import MakeClient
from tests.support.client import PASSWORD, Client
from tests.support.problems import assert_problem, faults
from tests.support.sql import run_sql

pytestmark = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)


@pytest.mark.parametrize("password", ["x" * 14, "\U0001f511" * 14, "e\u0301" * 14, " " * 14, "x"])
async def test_fewer_than_15_code_points_are_too_short(client: Client, password: str) -> None:
    answer = await client.register("ada@example.com", password)
    assert_problem(answer, 422, "password-too-short")
    assert faults(answer) == [("password", "password-too-short")]


ALPHABET = "the quick brown fox jumps over the lazy dog, "  # 45 code points


@pytest.mark.parametrize("password", [(ALPHABET * 6)[:257], "\U0001f511" * 257, "e\u0301" * 257])
async def test_more_than_256_code_points_are_too_long(client: Client, password: str) -> None:
    answer = await client.register("ada@example.com", password)
    assert_problem(answer, 422, "password-too-long")
    assert faults(answer) == [("password", "password-too-long")]


@pytest.mark.parametrize(
    "password",
    [
        ALPHABET[:15],
        "\U0001f511" * 15,
        (ALPHABET * 6)[:256],
        "\U0001f511" * 256,
        "e\u0301\u00e8" * 128,
        " " * 15 + "x",
        "'; DROP TABLE users; --",
        '"><script>alert(1)</script>',
        "\u05e1\u05d9\u05e1\u05de\u05d4 \u202e" * 3,
        "\r\n\t\x1b[31m and so on",
        "\ufffe\uffff\U0010ffff" * 5,
    ],
)
async def test_every_other_password_is_taken_and_signs_in(client: Client, password: str) -> None:
    assert (await client.register("ada@example.com", password)).status_code == 201
    assert (await client.login(password=password)).status_code == 200
    assert (await client.login(password=password[:-1])).status_code == 401


async def test_no_part_of_a_password_is_cut_off(client: Client) -> None:
    await client.register("ada@example.com", "a" * 72 + "X" * 20)
    for other in ("a" * 72 + "Y" * 20, "a" * 72, "a" * 72 + "X" * 19, "a" * 72 + "X" * 21):
        assert (await client.login(password=other)).status_code == 401
    assert (await client.login(password="a" * 72 + "X" * 20)).status_code == 200


async def test_spaces_and_case_are_part_of_a_password(make_client: MakeClient) -> None:
    client = await make_client(throttle={"account_failures": 20})
    await client.register("ada@example.com", f" {PASSWORD} ")
    for other in (PASSWORD, f" {PASSWORD}", f"{PASSWORD} ", f" {PASSWORD.upper()} ", f"\u00a0{PASSWORD}\u00a0"):
        assert (await client.login(password=other)).status_code == 401
    assert (await client.login(password=f" {PASSWORD} ")).status_code == 200


async def test_canonically_equal_passwords_are_the_same_and_compatible_ones_are_not(client: Client) -> None:
    await client.register("ada@example.com", "caf\u0065\u0301 \ufb01ne \u212bngstr\u00f6m \u2460")
    assert (await client.login(password="caf\u00e9 \ufb01ne \u00c5ngstro\u0308m \u2460")).status_code == 200
    assert (await client.login(password="caf\u00e9 fine \u00c5ngstr\u00f6m \u2460")).status_code == 401
    assert (await client.login(password="caf\u00e9 \ufb01ne \u00c5ngstr\u00f6m 1")).status_code == 401


async def test_the_policy_follows_its_settings(make_client: MakeClient) -> None:
    client = await make_client(
        password={"min_length": 8, "max_length": 64}, factors={"required_roles": ("user", "admin")}
    )
    assert_problem(await client.register("ada@example.com", "x" * 7), 422, "password-too-short")
    assert_problem(await client.register("ada@example.com", "x" * 65), 422, "password-too-long")
    assert (await client.register("ada@example.com", "hijack42")).status_code == 201


async def test_the_default_hash_is_argon2id_as_owasp_asks_with_a_salt_of_its_own(
    make_client: MakeClient, database_url: str
) -> None:
    client = await make_client(password=PasswordSettings().model_dump())
    salts = set()
    for email in ("ada@example.com", "grace@example.com"):
        await client.register(email)
        found = re.fullmatch(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$([^$]+)\$.+", await _stored_hash(database_url, email))
        assert found
        salts.add(base64.b64decode(found[1] + "=="))
    assert len(salts) == 2
    assert min(map(len, salts)) >= 16


async def _stored_hash(url: str, email: str) -> str:
    ((found,),) = await run_sql(url, "SELECT hashed_password FROM users WHERE email_canonical = $1", email)
    return str(found)
