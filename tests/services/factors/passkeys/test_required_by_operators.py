"""Accounts of a role that must have a passkey, as operators make and help them: by an import, and by a reset."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.accounts_files import HASH, lines
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client, bearer
from tests.support.link_mails import LinkMails
from tests.support.operator import Operator, users
from tests.support.owner import eventually_none_waits, let_time_pass
from tests.support.passkeys import ENROL, PASSKEYS, REQUIRED, Passkey, asked, enrolled, second, sign
from tests.support.problems import assert_problem
from tests.support.sql import run_sql

EMAIL, OTHER = "ada@example.com", "bob@example.com"
NEW, NEWER = "a long and odd one 97", "another that is odd 98"
CODE = "invalid-second-factor"
PAGE = {"X-Auth-Cookie": "1", "Origin": "http://127.0.0.1:8000"}
OF_ADMINS: dict[str, Any] = {"passkeys": {**PASSKEYS["passkeys"], "required_roles": ("admin",)}}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)


@pytest.fixture
async def mails() -> AsyncIterator[LinkMails]:
    async with LinkMails.start() as running:
        yield running


@pytest.fixture
def operator(database_url: str, tmp_path: Path, mails: LinkMails) -> Operator:
    """The command line with the mail settings of the service."""
    mail = {f"AUTH_MAIL__{name.upper()}": str(value) for name, value in mails.settings["mail"].items()}
    return Operator(database_url, tmp_path, **mail)


async def bring_in(operator: Operator, *, is_verified: bool) -> None:
    """Import ada, an administrator, and bob, who is none."""
    ada = {"email": EMAIL, "username": "ada", "role": "admin", "is_verified": is_verified, "hashed_password": HASH}
    file = operator.write("accounts.jsonl", lines(ada, {"email": OTHER, "hashed_password": HASH}))
    assert "imported 2 accounts" in await users(operator, "import", file)


async def by_mailed_link(client: Client, mails: LinkMails, new: str) -> None:
    await client.forgot_password(EMAIL)
    answer = await client.reset_password(await mails.token(EMAIL, "reset-password"), new)
    assert (answer.status_code, answer.content) == (204, b"")


async def test_an_account_that_was_imported_with_the_role_gets_a_token_by_a_passkey_alone(
    make_client: MakeClient, mails: LinkMails, operator: Operator
) -> None:
    client = await make_client(**OF_ADMINS, **mails.settings, cookies={"enabled": True})
    await bring_in(operator, is_verified=False)
    assert (await client.login(OTHER)).status_code == 200, "nothing is asked of other roles"

    async def verify() -> None:
        await client.resend_verification(EMAIL)
        verified = await client.verify_email(await mails.token(EMAIL, "verify-email"))
        assert (verified.status_code, verified.content) == (204, b"")

    async def use_operators_link() -> None:
        token = (await users(operator, "reset-password", EMAIL)).strip().partition("#token=")[2]
        answer = await client.reset_password(token, NEWER)
        assert (answer.status_code, answer.content) == (204, b"")

    async def nothing() -> None: ...

    challenge = ""
    for way, before, body, headers in (
        ("the password that came with it", nothing, {"email": EMAIL, "password": PASSWORD}, {}),
        ("the username", nothing, {"username": "ada", "password": PASSWORD}, {}),
        ("a cookie", nothing, {"email": EMAIL, "password": PASSWORD}, PAGE),
        ("a verified address", verify, {"email": EMAIL, "password": PASSWORD}, {}),
        ("a mailed link", lambda: by_mailed_link(client, mails, NEW), {"email": EMAIL, "password": NEW}, {}),
        ("an operator's link", use_operators_link, {"email": EMAIL, "password": NEWER}, {}),
    ):
        await before()
        refused = await client.post("/auth/login", json=body, headers=headers)
        assert refused.status_code == 403, f"{way}: {refused.text}"
        assert_problem(refused, 403, ENROL)
        challenge = refused.json()["challenge"]
        assert (refused.json()["methods"], dict(refused.cookies)) == (["passkey"], {}), way
    for code in ("000000", "ABCDE-FGHJK"):
        assert_problem(await client.second_factor(challenge, code), 401, CODE)
        assert_problem(await client.confirm_login_enrolment(challenge, code), 401, CODE)
    passkey = Passkey()
    await enrolled(client, passkey, challenge)
    token = (await passkey.sign_in(client))["access_token"]
    assert (await client.me(token)).json()["role"] == "admin"
    told = (await client.login(EMAIL, NEWER)).json()
    assert (told["code"], told["methods"]) == ("second-factor-required", ["passkey"])


async def test_an_imported_account_whose_owner_added_an_app_before_needs_a_passkey_all_the_same(
    make_client: MakeClient, mails: LinkMails, operator: Operator
) -> None:
    lax = await make_client(**PASSKEYS, **mails.settings)
    await bring_in(operator, is_verified=True)
    app = await Authenticator.add(lax, await lax.sign_in(EMAIL))
    strict = await make_client(**OF_ADMINS, **mails.settings)
    assert_problem(await strict.refresh(app.tokens["refresh_token"]), 401, "invalid-refresh-token")
    assert_problem(await strict.me(app.tokens["access_token"]), 401, "invalid-access-token")
    await by_mailed_link(strict, mails, NEW)
    assert_problem(await strict.login(EMAIL), 401, "invalid-credentials")
    refused = await strict.login(EMAIL, NEW)
    assert_problem(refused, 403, "second-factor-required")
    told = refused.json()
    assert told["methods"] == ["totp"]
    assert_problem(await strict.second_factor(told["challenge"], app.recovery_codes[0]), 401, CODE)
    assert_problem(await strict.begin_login_enrolment(told["challenge"]), 401, CODE)
    proved = await strict.second_factor(told["challenge"], app.code())
    assert_problem(proved, 403, ENROL)
    passkey = Passkey()
    await enrolled(strict, passkey, proved.json()["challenge"])
    await passkey.sign_in(strict)
    told = (await strict.login(EMAIL, NEW)).json()
    assert told["methods"] == ["passkey"]
    for code in (app.code(1), app.recovery_codes[0]):
        assert_problem(await strict.second_factor(told["challenge"], code), 401, CODE)


AT_ONCE, DELAYED, WITHOUT_PASSWORD = "at once", "after the delay", "at once, of whoever has no password"
EVENTS = {
    AT_ONCE: ["factor.added passkey", "factors.reset operator", "factor.added passkey"],
    DELAYED: ["factor.added passkey", "factors.reset_planned", "factors.reset delay_over", "factor.added passkey"],
    WITHOUT_PASSWORD: [*["factor.added passkey"] * 2, "password.removed", "factors.reset operator",
                       "factor.added passkey"],
}  # fmt: skip


@pytest.mark.parametrize("how", EVENTS)
async def test_after_an_operators_reset_its_owner_adds_a_passkey_again_and_the_old_one_opens_nothing(
    make_client: MakeClient, mails: LinkMails, operator: Operator, how: str
) -> None:
    client = await make_client(**REQUIRED, **mails.settings)
    (await client.register(EMAIL)).raise_for_status()
    await client.verify_email(await mails.token(EMAIL, "verify-email"))
    old = Passkey()
    before = await enrolled(client, old)
    await mails.notice(EMAIL)
    begun = await asked(client)
    if how == WITHOUT_PASSWORD:
        await Passkey.add(client, before)
        assert (await client.delete("/auth/me/password", headers=bearer(before["access_token"]))).status_code == 204
        await mails.notices(EMAIL, "A passkey was added", "The password of your account was removed")
    await reset(operator, mails, is_delayed=how == DELAYED)

    password = PASSWORD
    if how == WITHOUT_PASSWORD:
        assert_problem(await client.login(EMAIL), 401, "invalid-credentials")
        password = NEW
        await by_mailed_link(client, mails, NEW)
    elif how == DELAYED:
        assert_problem(await sign(client, old), 401, "invalid-credentials")
    refused = await client.login(EMAIL, password)
    assert_problem(refused, 403, ENROL)
    challenge = refused.json()["challenge"]
    assert refused.json()["methods"] == ["passkey"]
    told = "Authenticator apps, passkeys and recovery codes were removed from your account"
    changed = ["The password of your account was changed"] if how == WITHOUT_PASSWORD else []
    await mails.notices(EMAIL, told, *changed)
    await opens_nothing(client, old, before, begun)
    for code in before["recovery_codes"][:2]:
        assert_problem(await client.second_factor(challenge, code), 401, CODE)

    new = Passkey()
    mine = await enrolled(client, new, challenge)
    assert len(mine["recovery_codes"]) == 10
    assert not set(mine["recovery_codes"]) & set(before["recovery_codes"])
    await new.sign_in(client)
    await opens_nothing(client, old, before, begun)
    ended = await run_sql(
        operator.url, "SELECT DISTINCT revoked_reason FROM refresh_tokens WHERE revoked_at IS NOT NULL"
    )
    assert ended == [("factors_reset",)]
    assert await trail(operator) == EVENTS[how]


async def reset(operator: Operator, mails: LinkMails, *, is_delayed: bool) -> None:
    if is_delayed:
        assert (await users(operator, "reset-factors", EMAIL)).startswith("takes effect at: 20")
        await mails.token(EMAIL, "keep-factors")
        await eventually_none_waits(operator.url)
        await let_time_pass(operator.url)
    else:
        assert await users(operator, "reset-factors", EMAIL, "--now", "--yes") == "removed; sessions ended: 1\n"


async def opens_nothing(client: Client, old: Passkey, before: dict[str, Any], begun: dict[str, Any]) -> None:
    """What the owner had before the reset: the passkey, the session, and a login that was under way."""
    refused = await sign(client, old)
    assert_problem(refused, 401, "invalid-credentials")
    assert refused.json()["unknown_credential"] is True
    assert_problem(await second(client, begun["challenge"], old.signed_for(begun["public_key"])), 401, CODE)
    assert_problem(await client.refresh(before["refresh_token"]), 401, "invalid-refresh-token")
    assert_problem(await client.me(before["access_token"]), 401, "invalid-access-token")


async def trail(operator: Operator) -> list[str]:
    """What the trail of the account says of factors, the oldest first."""
    printed = (await asyncio.to_thread(operator.run, "audit", "--user", EMAIL, "--json")).stdout
    found = [json.loads(line) for line in printed.splitlines()][::-1]
    told = [event for event in found if event["event"].startswith(("factor", "password.removed"))]
    for event in told:
        if event["event"] == "factors.reset_planned" or event["details"].get("reason") == "operator":
            assert event["details"]["actor"].startswith("cli"), event
    what = [(event["event"], event["details"].get("kind") or event["details"].get("reason") or "") for event in told]
    return [" ".join(part for part in pair if part) for pair in what]
