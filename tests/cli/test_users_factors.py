"""What operators and administrators see of second factors: who has none, and when they were added, never a secret."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SECRET, MakeClient
from tests.support.admins import Admin
from tests.support.authenticator import Authenticator
from tests.support.client import Client
from tests.support.operator import Operator, users
from tests.support.sql import run_sql

NEWER = "bmV3ZXIsIGFsc28gMzIgYnl0ZXMgb3IgbW9yZSwgYXMgYXNrZWQ"
on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


async def listed(operator: Operator, *words: str) -> list[str]:
    lines = (await users(operator, "list", "--json", *words)).splitlines()
    return [json.loads(line)["email"] for line in lines]


@on_a_lasting_database
async def test_whoever_has_no_factor_is_listed_of_the_roles_that_must_have_one(
    ada: Client, operator: Operator, database_url: str
) -> None:
    await Authenticator.add(ada, await ada.sign_in())
    for email in ("root@example.com", "bob@example.com"):
        (await ada.register(email)).raise_for_status()
    await users(operator, "set-role", "root@example.com", "admin")
    assert await listed(operator, "--without-factor") == ["bob@example.com", "root@example.com"]
    for roles, expected in {
        "admin": ["root@example.com"],
        "user": ["bob@example.com"],
        "user,admin": ["bob@example.com", "root@example.com"],
    }.items():
        strict = Operator(database_url, operator.folder, AUTH_FACTORS__REQUIRED_ROLES=roles)
        assert await listed(strict, "--without-factor") == expected
    assert await listed(operator, "--without-factor", "--role", "admin") == ["root@example.com"]
    await Authenticator.begin(ada, (await ada.sign_in("bob@example.com"))["access_token"])
    assert await listed(operator, "--without-factor", "--role", "user") == ["bob@example.com"], "it does not count yet"


@on_a_lasting_database
async def test_an_account_is_shown_with_its_factors_and_without_their_secrets(ada: Client, operator: Operator) -> None:
    admin = await Admin.of(ada)
    app = await Authenticator.add(ada, await ada.sign_in())
    (own,) = (await ada.factors(app.tokens["access_token"]))["items"]
    user_id = (await ada.me(app.tokens["access_token"])).json()["id"]
    answer = await admin.call("GET", f"/{user_id}")
    assert answer.json()["factors"] == [own]
    shown: dict[str, Any] = json.loads(await users(operator, "show", "ada", "--json"))
    assert [(factor["id"], factor["kind"]) for factor in shown["factors"]] == [(app.id, "totp")]
    lines = await users(operator, "show", "ada")
    assert f"factor: {app.id}  totp  -  " in lines
    exported = await ada.export(app.tokens["access_token"])
    assert (exported.json()["factors"], exported.json()["recovery_codes_left"]) == ([own], 10)
    for told in (answer.text, json.dumps(shown), lines, exported.text):
        assert app.secret not in told
        assert not any(code in told for code in app.recovery_codes)


@on_a_lasting_database
async def test_the_secrets_are_encrypted_again_under_a_new_secret_key(
    make_client: MakeClient, database_url: str, tmp_path: Path
) -> None:
    before = await make_client()
    (await before.register("ada@example.com")).raise_for_status()
    app = await Authenticator.add(before, await before.sign_in())
    operator = Operator(database_url, tmp_path, AUTH_SECRET_KEY=f"{NEWER},{SECRET}")
    for factors, signing_keys in ((1, 1), (0, 0)):
        told = f"signing keys encrypted again: {signing_keys}\nsecond factors encrypted again: {factors}\n"
        done = await asyncio.to_thread(operator.run, "keys", "rewrap")
        assert done.stdout == told
    after = await make_client(secret_key=NEWER)
    assert (await after.second_factor(await after.challenge(), app.code())).status_code == 200
    await run_sql(database_url, "UPDATE factors SET secret_id = '00000000'")
    done = await asyncio.to_thread(operator.run, "keys", "rewrap", code=1)
    assert done.stdout.endswith("second factors encrypted again: 0\n")
    assert done.stderr.endswith("so no code of them is right: 1\n")
