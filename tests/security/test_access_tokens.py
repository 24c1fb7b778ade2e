"""Access tokens: what they say, how long they hold, and that each of their claims is checked."""

import json
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.conftest import MakeClient
from tests.support.client import Client
from tests.support.forge import MISSING, Forge, mirrored, part, refused
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

pytestmark = pytest.mark.parametrize("database_url", ["sqlite-file"], indirect=True)

LEEWAY = 5  # seconds
OTHER = "https://evil.test"
NOW = int(time.time())
NO_NAMES = ["", "user\r\nX-Auth-User: admin", "user\n", "\ruser", "a b", "\u00e9", "\x00", "\x7f", "user\u2028"]
WRONG_CLAIMS: list[tuple[str, list[object]]] = [
    ("exp", [MISSING, None, "99999999999", 99999999999.5, True, -1, [], 10**400, float("inf"), float("nan")]),
    ("iat", [MISSING, None, "1", 1.5, float("inf"), float("nan"), NOW + 10_000, NOW - 10_000, 0, -1]),
    ("nbf", [99999999999, "soon", float("inf")]),
    ("iss", [MISSING, None, OTHER, "", [OTHER], {}]),
    ("aud", [MISSING, None, OTHER, "", [], [OTHER], [1], {}]),
    ("sub", [MISSING, None, str(uuid4()), "ada@example.com", "", 1, ["x"]]),
    ("sid", [MISSING, None, str(uuid4()), "x", 1, {}]),
    ("jti", [MISSING, None, 1]),
    ("roles", [MISSING, None, [], {}, 1, "admin", [["admin"]], [None], [1], ["user", 1], {"0": "admin"}]),
    ("roles", [[role] for role in NO_NAMES]),
    ("auth_time", [MISSING, None, "1", 1.5, True, [], float("inf")]),
    ("acr", [MISSING, None, 1, ["aal1"], *NO_NAMES]),
    ("amr", [MISSING, None, "pwd", [1], {"0": "pwd"}, *([name] for name in NO_NAMES)]),
]


async def test_a_token_says_exactly_what_it_should_and_nothing_personal(ada: Client, token: str) -> None:
    account = (await ada.me(token)).json()
    header, claims = part(token, 0), part(token, 1)
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": header["kid"]}
    assert set(claims) == {
        "iss", "aud", "sub", "client_id", "sid", "jti", "iat", "exp", "roles", "auth_time", "acr", "amr",
    }  # fmt: skip
    assert (claims["iss"], claims["aud"], claims["sub"]) == (
        "http://127.0.0.1:8000",
        "http://127.0.0.1:8000",
        account["id"],
    )
    assert (claims["client_id"], claims["roles"]) == ("first-party", ["user"])
    assert claims["exp"] - claims["iat"] == 300
    assert (claims["acr"], claims["amr"]) == ("aal1", ["pwd"])
    assert abs(claims["auth_time"] - claims["iat"]) <= 1
    assert abs(claims["iat"] - time.time()) < 60
    assert UUID(claims["sid"])
    assert "@" not in json.dumps(claims)
    assert "ada" not in map(str, claims.values())  # her username


async def test_no_two_tokens_have_the_same_id(ada: Client) -> None:
    tokens = await ada.sign_in()
    replayed = [(await ada.refresh(tokens["refresh_token"])).json() for _ in range(3)]
    seen = {part(answer["access_token"], 1)["jti"] for answer in [tokens, *replayed]}
    assert len(seen) == 4


async def test_a_forge_with_the_right_key_makes_a_valid_token_so_that_its_failures_mean_something(
    ada: Client, forge: Forge
) -> None:
    assert (await ada.me(forge.signed())).status_code == 200
    listed = forge.signed(claims={"aud": [forge.claims["aud"], "https://other.test"]})
    assert (await ada.me(listed)).status_code == 200


@pytest.mark.parametrize(("claim", "values"), WRONG_CLAIMS)
async def test_a_signed_token_with_a_wrong_claim_is_refused(
    ada: Client, forge: Forge, claim: str, values: list[object]
) -> None:
    for value in values:
        await refused(ada, forge.signed(claims={claim: value}))


async def test_a_token_is_refused_from_the_second_on_in_which_it_expires(ada: Client, forge: Forge) -> None:
    now = int(time.time())
    await refused(ada, forge.signed(claims={"exp": now - 1, "iat": now - 300}))
    await refused(ada, forge.signed(claims={"exp": now, "iat": now - 300}))
    assert (await ada.me(forge.signed(claims={"exp": now + 10, "iat": now - 290}))).status_code == 200


async def test_a_token_that_names_another_user_with_ones_own_session_is_refused(ada: Client, forge: Forge) -> None:
    grace = (await ada.register("grace@example.com")).json()
    await refused(ada, forge.signed(claims={"sub": grace["id"]}))


async def test_the_other_signature_of_a_token_dies_with_its_session(ada: Client) -> None:
    tokens = await ada.sign_in()
    other = mirrored(tokens["access_token"])
    assert other != tokens["access_token"]
    assert (await ada.me(other)).status_code == 200
    await ada.logout(tokens["refresh_token"])
    await refused(ada, other)
    await refused(ada, tokens["access_token"])


async def test_a_refresh_token_is_no_access_token_and_the_other_way_round(ada: Client) -> None:
    tokens = await ada.sign_in()
    await refused(ada, tokens["refresh_token"])
    assert_problem(await ada.refresh(tokens["access_token"]), 401, "invalid-refresh-token")
    assert (await ada.me(tokens["access_token"])).status_code == 200


async def test_a_token_of_a_service_of_the_same_name_and_secret_is_refused(
    ada: Client, make_client: MakeClient, tmp_path: Path
) -> None:
    other = await make_client(f"sqlite+aiosqlite:///{tmp_path}/other.db")
    await other.register("ada@example.com")
    await refused(ada, (await other.sign_in())["access_token"])


async def test_a_token_of_a_disabled_or_deleted_user_is_refused(ada: Client, token: str, database_url: str) -> None:
    await run_sql(database_url, "UPDATE users SET is_active = FALSE")
    await refused(ada, token)
    await run_sql(database_url, "DELETE FROM users")
    await refused(ada, token)
