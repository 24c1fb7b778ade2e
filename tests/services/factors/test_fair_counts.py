"""What is counted against whom: neither a thief nor a dead challenge locks the owner of an app out."""

from typing import Any

import pytest

from tests.conftest import MakeClient
from tests.support.authenticator import Authenticator
from tests.support.client import PASSWORD, Client
from tests.support.mail_server import mail_server
from tests.support.outbox import mark_verified, none_waits, to
from tests.support.polling import eventually
from tests.support.problems import assert_problem
from tests.support.sql import run_sql
from tests.support.stored_attempts import ATTACKER, GATEWAY, OWNER, StoredAttempts, coming_from, enter

on_a_lasting_database = pytest.mark.parametrize("database_url", ["sqlite-file", "postgresql"], indirect=True)
NEW_PASSWORD = "a long and odd one 97"
EVERYBODY: dict[str, Any] = {"factors": {"required_roles": ("user", "admin")}}


async def added(client: Client) -> Authenticator:
    """An app that the owner has added at home, signed in already or on the way."""
    entered, home = (await enter(client)).json(), coming_from(OWNER)
    if challenge := entered.get("challenge"):
        app = Authenticator((await client.begin_login_enrolment(challenge)).json()["secret"])
        await app.early_in_step()
        answer = await client.confirm_login_enrolment(challenge, app.code(-1), **home)
    else:
        app = await Authenticator.begin(client, entered["access_token"])
        await app.early_in_step()
        answer = await client.confirm_totp(entered["access_token"], app.id, app.code(-1), **home)
    assert answer.status_code == 200, answer.text
    return app


@pytest.mark.parametrize("settings", [{}, EVERYBODY], ids=["signed in", "at a login"])
@on_a_lasting_database
async def test_where_the_app_was_added_its_codes_are_taken_however_often_a_thief_guesses_elsewhere(
    make_client: MakeClient, settings: dict[str, Any]
) -> None:
    client = await make_client(proxy=GATEWAY, **settings)
    await client.register("ada@example.com")
    app = await added(client)
    stolen = (await enter(client, client_ip=ATTACKER)).json()["challenge"]
    for _ in range(5):
        wrong = await client.second_factor(stolen, app.wrong_code(), headers=coming_from(ATTACKER))
        assert_problem(wrong, 401, "invalid-second-factor")
    refused = await client.second_factor(stolen, app.code(), headers=coming_from(ATTACKER))
    assert_problem(refused, 429, "too-many-attempts")
    challenge = (await enter(client)).json()["challenge"]
    assert (await client.second_factor(challenge, app.code(), headers=coming_from(OWNER))).status_code == 200


@on_a_lasting_database
async def test_a_challenge_of_the_password_before_counts_nowhere_and_tells_nobody(
    make_client: MakeClient, database_url: str
) -> None:
    async with mail_server() as server:
        client = await make_client(mail=to(server))
        await client.register("ada@example.com")
        await mark_verified(client, "ada@example.com")
        app = await Authenticator.add(client, await client.sign_in())
        dead = await client.challenge()
        (await client.change_password(app.tokens["access_token"], PASSWORD, NEW_PASSWORD)).raise_for_status()
        before = await StoredAttempts(client).rows()
        for code in (*[app.wrong_code()] * 6, app.code(), app.recovery_codes[0]):
            assert_problem(await client.second_factor(dead, code), 401, "invalid-second-factor")
        assert await StoredAttempts(client).rows() == before
        refused = "SELECT count(*) FROM audit_events WHERE event IN ('factor.code_refused', 'throttle.blocked')"
        assert await run_sql(database_url, refused) == [(0,)]
        await eventually(none_waits, client)
        assert not any("Somebody who knows" in subject for subject in server.subjects())
        challenge = await client.challenge(password=NEW_PASSWORD)
        assert (await client.second_factor(challenge, app.code())).status_code == 200
