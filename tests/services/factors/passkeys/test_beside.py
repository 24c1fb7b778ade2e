"""What else of the service knows passkeys: the owner's export, administrators, operators, resets and metrics."""

from typing import Any

import pytest

from auth_service.models import Acr, FactorPolicy, Role
from auth_service.repositories.users.search import UserFilter
from tests.conftest import SECRET, MakeClient
from tests.support.admins import Admin
from tests.support.authenticator import Authenticator
from tests.support.client import Client
from tests.support.link_mails import LinkMails
from tests.support.outbox import services_of
from tests.support.owner import eventually_none_waits, let_time_pass, verified_owner
from tests.support.passkeys import PASSKEYS, Passkey, add, begin, encode, login, login_options, sign
from tests.support.problems import assert_problem

NEWER = "bmV3ZXIsIGFsc28gMzIgYnl0ZXMgb3IgbW9yZSwgYXMgYXNrZWQ"
PHR, AAL2 = FactorPolicy({Role.ADMIN: Acr.PHR}), FactorPolicy({Role.ADMIN: Acr.AAL2})
BOTH = FactorPolicy({Role.ADMIN: Acr.PHR, Role.USER: Acr.AAL2})


async def test_the_export_has_passkeys_without_their_keys(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in(), name="My phone")
    document = (await keeper.export(passkey.tokens["access_token"])).raise_for_status().json()
    (factor,) = document["factors"]
    assert (factor["kind"], factor["name"]) == ("passkey", "My phone")
    assert factor["credential_id"] == encode(passkey.credential_id)
    assert not {"public_key", "user_handle", "sign_count"} & set(factor)


async def without_factor(client: Client, policy: FactorPolicy) -> list[str]:
    """Who lacks what a policy asks for, as operators are told."""
    async with services_of(client).gauges.database.statement() as tx:
        found = await tx.user_search.find_page(UserFilter(without_factor=policy), 10)
    return sorted(user.email.partition("@")[0] for user in found)


async def test_operators_are_named_who_lacks_the_passkey_that_the_role_must_have(keeper: Client) -> None:
    admins = [await Admin.of(keeper, f"{name}@example.com") for name in ("root", "app", "key")]
    await Authenticator.add(keeper, admins[1].tokens)
    await Passkey.add(keeper, admins[2].tokens)
    assert await without_factor(keeper, PHR) == ["app", "root"]
    assert await without_factor(keeper, AAL2) == ["root"]
    assert await without_factor(keeper, BOTH) == ["ada", "app", "root"]
    assert await without_factor(keeper, FactorPolicy({})) == ["ada", "root"]


async def test_sign_ins_with_passkeys_are_counted(keeper: Client) -> None:
    passkey = await Passkey.add(keeper, await keeper.sign_in())
    await passkey.sign_in(keeper)
    assert (await sign(keeper, Passkey(user_handle=b"x" * 32))).status_code == 401
    counted = services_of(keeper).gauges.passkey_logins
    assert {str(outcome): count for outcome, count in counted.items()} == {"succeeded": 1, "failed": 1}


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_an_administrators_reset_removes_passkeys_unless_one_of_them_signs_in_before(
    make_client: MakeClient, database_url: str
) -> None:
    async with LinkMails.start() as mails:
        client = await make_client(database_url, **PASSKEYS, **mails.settings)
        owner = await verified_owner(client, mails)
        passkey = await Passkey.add(client, owner.tokens)
        shown = await owner.admin.show(owner.id)
        assert [factor["kind"] for factor in shown["factors"]] == ["passkey"]

        async def ask() -> Any:
            return await owner.admin.call("POST", f"/{owner.id}/factors/reset")

        assert (await ask()).status_code == 202
        tokens = await passkey.sign_in(client)
        assert (await client.pending_reset(tokens["access_token"])).status_code == 404, "whoever has it has not lost it"
        assert (await ask()).status_code == 202
        await mails.token("ada@example.com", "keep-factors")
        await eventually_none_waits(database_url)
        await let_time_pass(database_url)
        refused = await sign(client, passkey)
        assert_problem(refused, 401, "invalid-credentials")
        assert (await client.login()).status_code == 200, "the password alone signs in"
        assert (await sign(client, passkey)).json()["unknown_credential"] is True


@pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
async def test_a_rotated_secret_changes_no_passkey_and_later_ones_are_of_the_same_user_for_authenticators(
    make_client: MakeClient,
) -> None:
    before = await make_client(**PASSKEYS)
    (await before.register("ada@example.com")).raise_for_status()
    passkey = await Passkey.add(before, await before.sign_in())
    begun = (await begin(before, passkey.tokens["access_token"])).json()
    asked = (await login_options(before)).json()
    after = await make_client(secret_key=f"{NEWER},{SECRET}", **PASSKEYS)
    assert (await login(after, asked, passkey.signed_for(asked["public_key"]))).status_code == 200
    tokens = await passkey.sign_in(after)
    later = await Passkey.add(after, tokens)
    assert later.user_handle == passkey.user_handle
    await later.sign_in(after)
    third = Passkey()
    assert (await add(after, tokens["access_token"], begun, third.made_for(begun["public_key"]))).status_code == 201
    assert third.user_handle == passkey.user_handle
    await third.sign_in(after)
