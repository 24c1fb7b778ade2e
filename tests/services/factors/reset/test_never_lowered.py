"""Nothing but a reset lowers a second factor, and nothing leaves an account that its owner cannot sign in to."""

import json
from pathlib import Path

import pytest

from tests.conftest import MakeClient
from tests.support.client import PASSWORD
from tests.support.operator import Operator, users
from tests.support.owner import NEW, OLD, FactorOwner, let_time_pass
from tests.support.problems import assert_problem

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
NEW_PASSWORD = "another horse, another battery"


async def reset_password(ada: FactorOwner, email: str = OLD) -> str:
    """The owner sets a new password with the link of a mail; return it."""
    await ada.client.forgot_password(email)
    token = await ada.mails.token(email, "reset-password")
    assert (await ada.client.reset_password(token, NEW_PASSWORD)).status_code == 204
    return NEW_PASSWORD


async def needs_its_factor(ada: FactorOwner, email: str, password: str = PASSWORD) -> None:
    """The password alone does not sign in, and with the factor it does."""
    asked = await ada.client.login(email, password)
    assert_problem(asked, 403, "second-factor-required")
    assert (await ada.client.second_factor(asked.json()["challenge"], ada.app.code())).status_code == 200


@on_a_lasting_database
async def test_a_password_reset_does_not(ada: FactorOwner) -> None:
    await needs_its_factor(ada, OLD, await reset_password(ada))


@on_a_lasting_database
async def test_a_change_of_address_by_the_owner_and_a_password_reset_at_the_new_one_do_not(ada: FactorOwner) -> None:
    assert (await ada.client.change_email(ada.tokens["access_token"], NEW)).status_code == 202
    for address in (OLD, NEW):
        token = await ada.mails.token(address, "confirm-email")
        changed = await ada.client.confirm_email(token, access_token=ada.tokens["access_token"])
    assert changed.json() == {"status": "changed"}
    await needs_its_factor(ada, NEW, await reset_password(ada, NEW))


@pytest.mark.parametrize("by", ["reset-password", "verify-email"])
@on_a_lasting_database
async def test_an_address_that_others_chose_and_a_new_password_by_its_mailbox_do_not(
    ada: FactorOwner, make_client: MakeClient, database_url: str, by: str
) -> None:
    """It is not verified yet: whoever has that mailbox could be anybody whom an administrator chose."""
    await ada.admin.call("POST", f"/{ada.id}/email", json={"email": NEW})
    await ada.mails.token(OLD, "keep-email")
    await let_time_pass(database_url)
    await make_client(**ada.mails.settings)
    token = await ada.mails.token(NEW, "verify-email")
    if by == "verify-email":
        assert (await ada.client.verify_email(token, new_password=NEW_PASSWORD)).status_code == 204
    else:
        await reset_password(ada, NEW)
    await needs_its_factor(ada, NEW, NEW_PASSWORD)


@on_a_lasting_database
async def test_an_address_that_an_operator_set_and_a_password_reset_by_its_mailbox_do_not(
    ada: FactorOwner, database_url: str, tmp_path: Path
) -> None:
    await users(Operator(database_url, tmp_path), "set-email", OLD, NEW)
    await needs_its_factor(ada, NEW, await reset_password(ada, NEW))


@pytest.mark.parametrize("what", ["role", "disabled and enabled", "sessions ended", "password reset", "invited again"])
@on_a_lasting_database
async def test_an_administrator_does_not(ada: FactorOwner, what: str) -> None:
    password = PASSWORD
    if what == "role":
        assert (await ada.admin.call("PATCH", f"/{ada.id}", json={"role": "admin"})).status_code == 200
    elif what == "disabled and enabled":
        for path in ("disable", "enable"):
            assert (await ada.admin.call("POST", f"/{ada.id}/{path}")).status_code == 200
    elif what == "sessions ended":
        assert (await ada.admin.call("POST", f"/{ada.id}/end-sessions")).status_code == 200
    elif what == "password reset":
        assert (await ada.admin.call("POST", f"/{ada.id}/reset-password")).status_code == 202
        token, password = await ada.mails.token(OLD, "reset-password"), NEW_PASSWORD
        assert (await ada.client.reset_password(token, password)).status_code == 204
    else:
        again = await ada.admin.call("POST", json={"email": OLD, "role": "user"})
        assert_problem(again, 409, "account-exists")
    await needs_its_factor(ada, OLD, password)


@on_a_lasting_database
async def test_an_import_and_a_link_of_an_operator_do_not(ada: FactorOwner, database_url: str, tmp_path: Path) -> None:
    operator = Operator(database_url, tmp_path)
    rows = operator.write("accounts.jsonl", json.dumps({"email": OLD, "role": "user"}) + "\n")
    await users(operator, "import", rows)
    link = (await users(operator, "reset-password", OLD)).strip().partition("#token=")[2]
    assert (await ada.client.reset_password(link, NEW_PASSWORD)).status_code == 204
    await needs_its_factor(ada, OLD, NEW_PASSWORD)
